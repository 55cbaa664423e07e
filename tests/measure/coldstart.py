#!/usr/bin/env python3
r"""How long functions take from the start of their process to the first poll of the Lambda Runtime API, and to the first answer that
includes a call of DynamoDB over TLS; their peak memory, their size. Medians of several starts, interleaved, in one run.

usage: coldstart.py NAME=BOOTSTRAP[:EVENT.json] ...        the first is the yardstick

    tests/measure/run.sh        builds everything and calls this

Runtime API and DynamoDB are this process's own, on loopback: the latter answers every call with an empty result, over TLS with a
certificate made on the spot. Functions get its root beside those of the system, and ours alone in HOLDFAST_TLS_ROOTS.
"""
import http.server
import json
import os
import resource
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

RUNS = int(os.environ.get("RUNS", "20"))
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SYSTEM = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"


class DynamoDb(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise the second segment of each answer waits 40 ms for the acknowledgement of the first.
    disable_nagle_algorithm = True
    calls = 0

    def do_POST(self):
        DynamoDb.calls += 1
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/x-amz-json-1.0")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


class Runtime(http.server.BaseHTTPRequestHandler):
    """Hands out one event, then nothing more."""
    protocol_version = "HTTP/1.1"
    event, polled, answered, answer, done = b"{}", None, None, None, threading.Event()

    def do_GET(self):
        if Runtime.polled:
            Runtime.done.wait()
            return
        Runtime.polled = time.perf_counter()
        self.send_response(200)
        self.send_header("lambda-runtime-aws-request-id", "r")
        self.send_header("lambda-runtime-deadline-ms", str(int(time.time() * 1000) + 29_000))
        self.send_header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:f")
        self.send_header("content-length", str(len(Runtime.event)))
        self.end_headers()
        self.wfile.write(Runtime.event)

    def do_POST(self):
        Runtime.answered = time.perf_counter()
        Runtime.answer = self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}"
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()
        Runtime.done.set()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A process that was ended hangs up."""


def serve(handler, context=None):
    server = Server(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def certificate(directory, root):
    """A root, and a certificate of 127.0.0.1 that it signed: its file and that of its key."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=directory)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-days", "2", "-keyout", "root.key", "-out", root, "-subj", "/CN=measure")
    openssl("req", *key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=127.0.0.1")
    with open(os.path.join(directory, "extensions"), "w") as file:
        file.write("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", root, "-CAkey", "root.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions",
            "-out", "leaf.pem")
    return os.path.join(directory, "leaf.pem"), os.path.join(directory, "leaf.key")


def start(bootstrap, event, environment):
    Runtime.event, Runtime.polled, Runtime.answered, Runtime.done = event, None, None, threading.Event()
    before = DynamoDb.calls
    began = time.perf_counter()
    process = subprocess.Popen([bootstrap], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    answered = Runtime.done.wait(30)
    with open(f"/proc/{process.pid}/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    process.kill()
    process.wait()
    answer = json.loads(Runtime.answer) if answered else {}
    if DynamoDb.calls == before or answer.get("statusCode") != 200:
        sys.exit(f"{bootstrap}: {DynamoDb.calls - before} calls of DynamoDB, answered {Runtime.answer!r}")
    return (Runtime.polled - began) * 1000, (Runtime.answered - began) * 1000, peak / 1024


def main():
    functions = []
    for argument in sys.argv[1:]:
        name, path = argument.split("=", 1)
        bootstrap, _, event = path.partition(":")
        functions.append((name, bootstrap, open(event, "rb").read() if event else b"{}"))
    with tempfile.TemporaryDirectory() as directory:
        root = os.path.join(directory, "root.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(directory, root))
        dynamodb, runtime = serve(DynamoDb, context), serve(Runtime)
        bundle = os.path.join(directory, "bundle.pem")
        shutil.copy(SYSTEM, bundle)
        with open(bundle, "a") as file, open(root) as ours:
            file.write(ours.read())
        # As many as in the layer, so that the parsing costs the same.
        pinned = os.path.join(directory, "pinned.pem")
        shutil.copy(os.path.join(ROOT, "infra/trust/amazon-roots.pem"), pinned)
        with open(pinned, "a") as file, open(root) as ours:
            file.write(ours.read())
        environment = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime}", "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL_DYNAMODB": f"https://127.0.0.1:{dynamodb}", "SSL_CERT_FILE": bundle,
            "HOLDFAST_DATA_TABLE": "data", "HOLDFAST_VOLATILE_TABLE": "volatile", "HOLDFAST_FILES_BUCKET": "files",
            "HOLDFAST_MODEL": os.path.join(ROOT, "model.yaml"), "HOLDFAST_TLS_ROOTS": pinned, "RUST_LOG": "info",
        }
        measured = {name: [] for name, *_ in functions}
        for run in range(RUNS + 1):
            for name, bootstrap, event in functions:
                figures = start(bootstrap, event, environment)
                if run:  # the first start reads the binary from the disk
                    measured[name].append(figures)
    print(f"\n{RUNS} starts each, interleaved; medians\n")
    print("| process start to | first poll | first answer with a TLS call of DynamoDB | of the yardstick | peak memory |")
    print("|---|---|---|---|---|")
    yardstick = None
    for name, *_ in functions:
        poll, answer, peak = (statistics.median(column) for column in zip(*measured[name]))
        yardstick = yardstick or answer
        print(f"| {name} | {poll:.1f} ms | {answer:.1f} ms | {answer / yardstick:.0%} | {peak:.1f} MB |")


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
main()
