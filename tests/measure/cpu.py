#!/usr/bin/env python3
"""CPU that functions use per request, by kind of request: the real binaries behind a Lambda Runtime API of this process, on the stores of
`holdfast serve` with its demo data. User and system time of the whole process as the kernel counts it, SDK, TLS-less HTTP, logging and
the runtime client included. Also the wait for the answer, with stores that share the machine, and the memory at the end.

usage: cpu.py HOLDFAST DIRECTORY_OF_FUNCTIONS        called by tests/measure/run.sh
"""
import base64
import glob
import http.server
import json
import os
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EVENTS = os.path.join(ROOT, "tests", "events")
# Seconds until the burst of the demo's greatest plan is there again, which allows 1000 requests at once.
REFILL = 2.5
WARM, COUNTED = 50, int(os.environ.get("REQUESTS", "400"))
# So many that none of them is hot (over 20 requests a second): then each request pays for its own call of the limiter.
CONSUMERS = 50


class Runtime(http.server.BaseHTTPRequestHandler):
    """Hands out what stands in its server's queue, one event at a time, and takes the answers."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else an answer waits for an acknowledgement that is delayed by 40 ms

    def do_GET(self):
        event = self.server.events.get()
        self.send_response(200)
        self.send_header("lambda-runtime-aws-request-id", "r")
        self.send_header("lambda-runtime-deadline-ms", str(int(time.time() * 1000) + 29_000))
        self.send_header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:f")
        self.send_header("content-length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self):
        self.server.answers.put(self.rfile.read(int(self.headers.get("content-length") or 0)))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Runtime)
        self.events, self.answers = queue.Queue(), queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """A process that was ended hangs up."""


def event(method, path, token, body=None, headers=()):
    """As API Gateway has it, with the authorizer's part left to the function."""
    with open(os.path.join(EVENTS, "data-api-health.json")) as file:
        made = json.load(file)
    path, _, query = path.partition("?")
    made.update(rawPath=path, rawQueryString=query)
    made["requestContext"]["http"].update(method=method, path=path)
    made["headers"].update(headers)
    if token:
        made["headers"]["authorization"] = f"Bearer {token}"
    if body is not None:
        made["headers"]["content-type"] = "application/json"
        made["body"] = json.dumps(body)
    return made


def with_context(made, context):
    """With what the authorizer said, as it reaches the function through the gateway."""
    made["requestContext"]["authorizer"] = {"lambda": context}
    return made


class Function:
    """A running function, behind a runtime API of its own."""

    def __init__(self, binaries, name, environment):
        self.runtime = Server()
        environment = {
            **environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.runtime.server_address[1]}", "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "RUST_LOG": "info",
        }
        command = [os.path.join(binaries, name, "bootstrap")]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def call(self, made):
        self.runtime.events.put(json.dumps(made).encode())
        return json.loads(self.runtime.answers.get(timeout=30) or "null")

    def cpu(self):
        """Microseconds on a processor, all threads."""
        total = 0
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/schedstat"):
            with open(path) as file:
                total += int(file.read().split()[0])
        return total / 1000

    def peak(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    def measure(self, kind, make, right, hot=False):
        """`make` gives the event of the nth request, `right` says whether an answer is what it should be. A consumer is hot after
        some seconds of it."""
        time.sleep(REFILL)
        for _ in range(3 if hot else 0):
            for n in range(WARM):
                self.call(make(n))
            time.sleep(1 - time.time() % 1)
        for n in range(WARM):
            self.call(make(n))
        waits, answers, before = [], [], self.cpu()
        for n in range(WARM, WARM + COUNTED):
            made = make(n)
            began = time.perf_counter()
            answers.append(self.call(made))
            waits.append((time.perf_counter() - began) * 1000)
        used = (self.cpu() - before) / COUNTED
        wrong = [answer for answer in answers if not right(answer)]
        if wrong:
            sys.exit(f"{kind}: {len(wrong)} of {COUNTED} answers are not what they should be, the first: {json.dumps(wrong[0])[:600]}")
        print(f"| {kind} | {used:.0f} us | {statistics.median(waits):.1f} ms |", flush=True)

    def end(self):
        self.process.kill()
        self.process.wait()


def status(code):
    return lambda answer: answer["statusCode"] == code


def cached(how):
    return lambda answer: answer["statusCode"] == 200 and answer["headers"].get("cache-status", "").startswith(f"holdfast; {how}")


def measure(binaries, environment, tokens, denied):
    fresh = {"cache-control": "no-cache"}
    authorizer = Function(binaries, "authorizer", environment)
    with open(os.path.join(EVENTS, "authorizer-token.json")) as file:
        asked = json.load(file)

    def caller(token):
        """A token and what the authorizer says of it."""
        return token, authorizer.call({**asked, "identitySource": [f"Bearer {token}"]})["context"]

    callers, denied = [caller(token) for token in tokens], caller(denied)
    asked["identitySource"] = [f"Bearer {tokens[0]}"]
    authorizer.measure("authorizer: a token (EdDSA)", lambda _: asked, lambda answer: answer["context"]["outcome"] == "ok")
    peaks = {"authorizer": authorizer.peak()}
    authorizer.end()

    def get(path, headers=(), callers=callers):
        made = [with_context(event("GET", path, token, headers=headers), context) for token, context in callers]
        return lambda n: made[n % len(made)]

    def create(n):
        body = {"id": f"measured-{n}", "name": f"Measured {n}", "founded": 1900, "country": "GB"}
        token, context = callers[n % len(callers)]
        return with_context(event("POST", "/v1/publishers", token, body), context)

    data_api = Function(binaries, "data-api", environment)
    data_api.measure("nothing but the runtime (`_health`)", get("/v1/_health"), status(200))
    data_api.measure("denied again within a second", get("/v1/books?limit=20", callers=[denied]), status(429))
    data_api.measure("record by id, fresh", get("/v1/books/moby-dick", fresh), status(200))
    data_api.measure("list of 20, cached", get("/v1/books?limit=20"), cached("hit"))
    data_api.measure("list of 20, cached, for one hot consumer", get("/v1/books?limit=20", callers=callers[:1]), cached("hit"), hot=True)
    data_api.measure("list of 20, fresh", get("/v1/books?limit=20", fresh), cached("fwd=bypass"))
    data_api.measure("list of 20 with authors, cached", get("/v1/books?limit=20&include=author"), cached("hit"))
    data_api.measure("list of 20 with authors, fresh", get("/v1/books?limit=20&include=author", fresh), cached("fwd=bypass"))
    data_api.measure("create", create, status(201))
    peaks["data-api"] = data_api.peak()
    data_api.end()
    docs = Function(binaries, "docs", environment)
    docs.measure("OpenAPI document of a role", get("/v1/openapi.json"), status(200))
    peaks["docs"] = docs.peak()
    docs.end()
    print("\npeak memory after that: " + ", ".join(f"{name} {peak:.1f} MB" for name, peak in peaks.items()))


def call(url, token, method, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), method=method)
    request.add_header("content-type", "application/json")
    request.add_header("authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def main():
    holdfast, binaries = sys.argv[1:]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        model = os.path.join(ROOT, "model.yaml")
        system = subprocess.Popen(
            [holdfast, "serve", "--data", directory, "--port", str(port), "--model", model], stderr=subprocess.PIPE, text=True)
        try:
            for line in system.stderr:
                if line.startswith("listening on "):
                    break
            threading.Thread(target=system.stderr.read, daemon=True).start()
            with open(os.path.join(directory, "functions.env")) as file:
                environment = dict(line.rstrip("\n").split("=", 1) for line in file)

            def token(subject):
                command = [holdfast, "token", "--sub", subject, "--role", "admin", "--plan", "wholesale", "--data", directory]
                return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

            tokens, denied = [token(f"measure-{n}") for n in range(CONSUMERS)], token("denied")
            settings = {"plan": "wholesale", "roles": ["admin"], "overrides": {"month": {"limit": 1}}}
            url = f"http://127.0.0.1:{port}"
            call(url, tokens[0], "PUT", f"/v1/_consumers/local:{claims(denied)['sub']}", settings)
            print(f"\n{COUNTED} requests of each kind, one after another, of {CONSUMERS} consumers, after {WARM} that do not count\n")
            print("| request | CPU of the function | median wait |\n|---|---|---|")
            measure(binaries, environment, tokens, denied)
        finally:
            system.terminate()
            system.wait()


main()
