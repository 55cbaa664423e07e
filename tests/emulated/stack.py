"""A deployed stack as its tests see it: its API as clients have it, its functions as AWS calls them."""
import json
import os
import urllib.error
import urllib.request

import boto3

HERE = os.path.dirname(os.path.abspath(__file__))
EVENTS = os.path.join(os.path.dirname(HERE), "events")


class Answer:
    """Status, headers (names in lower case) and body, which is JSON or text."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        try:
            self.body = json.loads(body)
        except ValueError:
            self.body = body

    def expect(self, status):
        if self.status != status:
            raise SystemExit(f"answered {self.status}, not {status}: {self.body}")
        return self


class Stack:
    """The stack of this name; `url` is where its API answers."""

    def __init__(self, name, url):
        self.name, self.url = name, url

    def resource(self, logical):
        """The physical id of a resource of the template."""
        cloudformation = boto3.client("cloudformation")
        detail = cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId=logical)
        return detail["StackResourceDetail"]["PhysicalResourceId"]

    def call(self, method, path, key=None, body=None, headers=()):
        """Calls the API; `key` is a token or an API key."""
        request = urllib.request.Request(self.url + path, method=method, headers=dict(headers))
        if key:
            request.add_header("authorization", f"Bearer {key}")
        if body is not None:
            request.add_header("content-type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def invoke(self, logical, event, qualifier="live"):
        """Calls a function as AWS does; an error of the function ends the test."""
        client = boto3.client("lambda")
        reply = client.invoke(FunctionName=self.resource(logical), Qualifier=qualifier, Payload=json.dumps(event))
        payload = reply["Payload"].read().decode()
        if "FunctionError" in reply:
            raise SystemExit(f"{logical}: {reply['FunctionError']}: {payload}")
        return json.loads(payload or "null")

    def report(self):
        """What the schedule does once a minute."""
        with open(os.path.join(EVENTS, "usage-reporter-minute.json")) as event:
            self.invoke("UsageReporterFunction", json.load(event))

    def consumer(self, admin, name, settings):
        """Makes a consumer and a key for it."""
        answer = self.call("PUT", f"/v1/_consumers/{name}", admin, settings)
        if answer.status not in (200, 201):
            answer.expect(201)
        return self.call("POST", f"/v1/_consumers/{name}/keys", admin, {}).expect(201).body["key"]
