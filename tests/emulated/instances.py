#!/usr/bin/env python3
"""Two instances of data-api in processes of their own: what one keeps in its cache, the other one's write takes away at once, from both.
Called by tests/deployed.sh.

The functions are called past the gateway, which would not say which instance answers: the version behind the alias and $LATEST, the
same code, never share an instance.

usage: instances.py STACK URL ADMIN_KEY
"""
import json
import os
import sys
from urllib.parse import urlsplit

from stack import EVENTS, Stack

stack = Stack(*sys.argv[1:3])
admin = stack.consumer(sys.argv[3], "instances", {"plan": "wholesale", "roles": ["admin"]})
ONE, OTHER = "live", "$LATEST"
ROUNDS = 10
with open(os.path.join(EVENTS, "data-api-health.json")) as file:
    EVENT = json.load(file)


def call(instance, method, path, body=None):
    """The answer of an instance: status, `Cache-Status`, body."""
    parts = urlsplit(path)
    event = json.loads(json.dumps(EVENT))
    event.update(routeKey=f"{method} /v1/{{plural}}", rawPath=parts.path, rawQueryString=parts.query)
    event["requestContext"]["http"].update(method=method, path=parts.path)
    event["headers"]["authorization"] = f"Bearer {admin}"
    if body is not None:
        event["headers"]["content-type"] = "application/json"
        event["body"] = json.dumps(body)
    reply = stack.invoke("DataApiFunction", event, instance)
    headers = {name.lower(): value for name, value in reply["headers"].items()}
    return reply["statusCode"], headers.get("cache-status", ""), json.loads(reply.get("body") or "null")


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found}, not {wanted}")


def hit(instance, wanted):
    """The list from the cache, once it is there: an entry is stored beside the answer that fills it."""
    for _ in range(20):
        status, cache, body = call(instance, "GET", "/v1/publishers?limit=100")
        expect("a list", status, 200)
        names = {record["id"]: record["name"] for record in body["data"]}
        expect(f"the list of {instance} ({cache})", names.get("instances"), wanted)
        if cache == "holdfast; hit":
            return
    sys.exit(f"no hit at {instance}, the last answer said: {cache}")


stack.call("DELETE", "/v1/publishers/instances", admin)
expect("created", call(ONE, "POST", "/v1/publishers", {"id": "instances", "name": "Instances 0"})[0], 201)
for number in range(ROUNDS):
    # Both have it, so that both would be wrong after the write.
    hit(ONE, f"Instances {number}")
    hit(OTHER, f"Instances {number}")
    writer, reader = (ONE, OTHER) if number % 2 else (OTHER, ONE)
    name = f"Instances {number + 1}"
    expect("changed", call(writer, "PATCH", "/v1/publishers/instances", {"name": name})[0], 200)
    for instance in (reader, writer):
        status, cache, body = call(instance, "GET", "/v1/publishers?limit=100")
        shown = {record["id"]: record["name"] for record in body["data"]}.get("instances")
        expect(f"{instance} after the write of {writer} ({cache})", (status, shown), (200, name))
expect("deleted", call(OTHER, "DELETE", "/v1/publishers/instances")[0], 204)
_, _, body = call(ONE, "GET", "/v1/publishers?limit=100")
expect("listed after it was deleted", [record["id"] for record in body["data"] if record["id"] == "instances"], [])
print(f"{ROUNDS} writes, each seen at once through both instances, whose caches had answered before each")
