#!/usr/bin/env python3
"""An AWS on loopback for tests: ministack 1.5.33 with what its Lambda, HTTP API and CloudFormation lack for our template.

The package itself stays as it was installed; everything is mended in memory, so the version is pinned (see deployed.sh).
 latency   the Lambda Runtime API answers without waiting for TCP's delayed acknowledgements
 layers    a provided.* function finds its layers at /opt, in a mount namespace of its own
 routes    routes, integrations and authorizers of an HTTP API come from the OpenAPI body that the SAM transform makes
 alarms    an alarm on metric math is taken as one on the first of its metrics
 locks     ObjectLockConfiguration of a bucket is applied
 ttl       TimeToLiveSpecification of a table is applied
 tls       policies see aws:SecureTransport as true: loopback stands for TLS here

Port in GATEWAY_PORT, address in BIND_HOST; functions inherit this process's environment, so start it with a clean one.
"""
import hashlib
import io
import json
import os
import socketserver
import subprocess
import tempfile
import threading
import zipfile

socketserver.StreamRequestHandler.disable_nagle_algorithm = True

import ministack.core.lambda_runtime as runtime
import ministack.services.apigateway as gateway
import ministack.services.cloudformation.provisioners as provisioners
import ministack.services.dynamodb as dynamodb
from ministack.services import lambda_svc, s3

HANDLERS = provisioners._RESOURCE_HANDLERS
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "x-amazon-apigateway-any-method"}


def after(kind, step):
    """Runs step(physical id, properties) after a resource of this kind is created or updated."""
    create, update = HANDLERS[kind]["create"], HANDLERS[kind]["update"]

    def created(logical, properties, stack):
        result = create(logical, properties, stack)
        step(result[0], properties)
        return result

    def updated(physical, old, new, stack, logical_id=None):
        result = update(physical, old, new, stack, logical_id)
        step(physical, new)
        return result

    HANDLERS[kind].update(create=created, update=updated)


# latency: a function that logs nothing must not cost 50 ms of waiting for its log
drain = runtime.Worker._drain_stderr_bounded
runtime.Worker._drain_stderr_bounded = lambda worker, first_line_wait=0.002, idle_confirm=0.001, hard_cap=0.25: drain(
    worker, first_line_wait, idle_confirm, hard_cap
)

# layers
spawning = threading.local()


class Subprocess:
    """The subprocess module, but what is started while a function is spawned sees its layers at /opt."""

    def __getattr__(self, name):
        return getattr(subprocess, name)

    def Popen(self, command, **options):
        opt = getattr(spawning, "opt", None)
        if opt:
            mount = 'mount --bind "$0" /opt && exec "$@"'
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, opt, *command]
        return subprocess.Popen(command, **options)


def unpacked(layers):
    """A directory with the contents of these layers; the same layers share one."""
    zips = [content for content in map(lambda_svc._resolve_layer_zip, layers or []) if content]
    if not zips:
        return None
    name = hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in zips)).hexdigest()
    directory = os.path.join(tempfile.gettempdir(), f"layers-{os.environ['GATEWAY_PORT']}-{name}")
    if not os.path.isdir(directory):
        os.makedirs(directory)
        for content in zips:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                lambda_svc._extract_zip_preserving_mode(archive, directory)
    return directory


def spawn(worker, *arguments, **options):
    spawning.opt = unpacked(worker.config.get("Layers"))
    try:
        return original_spawn(worker, *arguments, **options)
    finally:
        spawning.opt = None


runtime.subprocess = Subprocess()
original_spawn, runtime.ProvidedWorker._spawn = runtime.ProvidedWorker._spawn, spawn


# alarms
def alarm(name, properties):
    if properties.get("Metrics"):
        first = next(metric["MetricStat"] for metric in properties["Metrics"] if "MetricStat" in metric)
        properties = {**properties, **first["Metric"], "Statistic": first["Stat"], "Period": first["Period"]}
        del properties["Metrics"]
    return original_alarm(name, properties)


original_alarm, provisioners._cw_metric_alarm_record = provisioners._cw_metric_alarm_record, alarm


# locks
def lock(bucket, properties):
    if properties.get("ObjectLockEnabled") in (True, "true"):
        retention = properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
        s3._bucket_object_lock[bucket] = {"enabled": True, "default_retention": {"Mode": retention["Mode"], "Days": int(retention["Days"])}}


after("AWS::S3::Bucket", lock)


# routes
def accepted(answer):
    status, _, body = answer
    if status >= 400:
        raise ValueError(f"the HTTP API's body was not taken: {body!r}")
    return json.loads(body) if body else {}


def authorizers(api, body):
    found = {}
    for name, scheme in body.get("components", {}).get("securitySchemes", {}).items():
        definition = scheme.get("x-amazon-apigateway-authorizer", {})
        if definition.get("type") != "request":
            raise ValueError(f"only REQUEST authorizers are understood, not that of {name}")
        made = gateway._create_authorizer(api, {
            "name": name,
            "authorizerType": "REQUEST",
            "authorizerUri": definition["authorizerUri"],
            "identitySource": definition.get("identitySource", []),
            "authorizerPayloadFormatVersion": str(definition["authorizerPayloadFormatVersion"]),
            "enableSimpleResponses": bool(definition.get("enableSimpleResponses")),
            "authorizerResultTtlInSeconds": int(definition.get("authorizerResultTtlInSeconds", 0)),
        })
        found[name] = accepted(made)["authorizerId"]
    return found


def integration(api, definition):
    made = gateway._create_integration(api, {
        "integrationType": definition["type"].upper(),
        "integrationUri": definition["uri"],
        "integrationMethod": definition.get("httpMethod", "POST"),
        "payloadFormatVersion": str(definition.get("payloadFormatVersion", "2.0")),
        "timeoutInMillis": int(definition.get("timeoutInMillis", 30000)),
    })
    return accepted(made)["integrationId"]


def import_routes(api, properties):
    body = properties.get("Body")
    if not body:
        return
    body = json.loads(body) if isinstance(body, str) else body
    gateway._routes[api], gateway._integrations[api], gateway._authorizers[api] = {}, {}, {}
    known = authorizers(api, body)
    targets = {}
    for path, operations in body.get("paths", {}).items():
        for method, operation in operations.items():
            if method not in METHODS:
                continue
            definition = operation["x-amazon-apigateway-integration"]
            if definition["uri"] not in targets:
                targets[definition["uri"]] = integration(api, definition)
            verb = "ANY" if method.startswith("x-") else method.upper()
            route = {
                "routeKey": "$default" if path.lstrip("/") == "$default" else f"{verb} {path}",
                "target": f"integrations/{targets[definition['uri']]}",
            }
            for requirement in operation.get("security", body.get("security", [])):
                for name in requirement:
                    if name in known:
                        route.update(authorizationType="CUSTOM", authorizerId=known[name])
            accepted(gateway._create_route(api, route))


after("AWS::ApiGatewayV2::Api", import_routes)


# ttl
def apply_ttl(table, properties):
    wanted = properties.get("TimeToLiveSpecification")
    if wanted:
        enabled = str(wanted.get("Enabled")).lower() == "true"
        dynamodb._update_ttl({
            "TableName": table,
            "TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": wanted.get("AttributeName", "")},
        })


after("AWS::DynamoDB::Table", apply_ttl)


# tls
import ministack.core.iam_evaluator as iam

origin = iam.pin_request_origin
iam.pin_request_origin = lambda source_ip, secure_transport: origin(source_ip, True)

if __name__ == "__main__":
    from ministack.app import main

    main()
