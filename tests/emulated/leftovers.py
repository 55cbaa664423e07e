#!/usr/bin/env python3
"""Files that nothing refers to any more are deleted by the reporter, with its own rights and no others. Called by tests/deployed.sh.

usage: leftovers.py STACK URL BUCKET ADMIN_KEY
"""
import hashlib
import sys
import urllib.request

import boto3

from stack import Stack

stack = Stack(*sys.argv[1:3])
bucket, admin = sys.argv[3:]


def objects():
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {one["Key"] for page in pages for one in page.get("Contents", [])}


def upload(content):
    field = "/v1/authors/leftovers/portrait"
    announced = {"filename": "a.png", "content_type": "image/png", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    link = stack.call("POST", f"{field}/upload", admin, announced).expect(201).body
    request = urllib.request.Request(link["url"], content, link["headers"], method=link["method"])
    with urllib.request.urlopen(request, timeout=60):
        pass
    stack.call("POST", f"{field}/complete", admin, {}).expect(200)


stack.call("DELETE", "/v1/authors/leftovers", admin)
stack.report()
before = objects()
stack.call("POST", "/v1/authors", admin, {"id": "leftovers", "name": "Left Over"}).expect(201)
upload(b"the first portrait")
first = objects() - before
upload(b"the second portrait")
second = objects() - before - first
if (len(first), len(second)) != (1, 1):
    sys.exit(f"two uploads made {first} and {second}")
stack.report()
if objects() - before != second:
    sys.exit(f"after a tick there should be the second portrait alone, not {objects() - before}")
stack.call("DELETE", "/v1/authors/leftovers", admin).expect(204)
stack.report()
if objects() - before:
    sys.exit(f"the record is deleted, and {objects() - before} is still there")
print("a file that was replaced and one whose record was deleted are gone from the bucket")
