#!/usr/bin/env python3
"""Usage arrives in CloudWatch with the right numbers: a load of known composition, and the same sums in CloudWatch and `/v1/_usage`,
for one consumer and for every route that anybody has called since the deployment. Called by tests/deployed.sh.

usage: usage.py STACK URL ADMIN_KEY
"""
import concurrent.futures
import datetime
import sys
import time
from collections import Counter

import boto3

from stack import Stack

stack = Stack(*sys.argv[1:3])
admin = sys.argv[3]
ADMITTED, OVER = 30, 6
# What the waiting below calls itself, so that its numbers never stand still.
MOVING = {"GET /v1/_usage", "GET /v1/openapi.json", "GET /v1/_shares/{secret}"}


def load():
    """Sends it; what was sent by route and class."""
    limits = {"plan": "wholesale", "roles": ["admin"], "overrides": {"month": {"limit": ADMITTED}}}
    key = stack.consumer(admin, "counted", limits)
    sent = Counter()

    def send(status, method, route, path, body=None):
        stack.call(method, path, key, body).expect(status)
        sent[f"{method} {route}", f"{status // 100}xx"] += 1

    for _ in range(10):
        send(200, "GET", "/v1/publishers", "/v1/publishers?limit=5")
    send(400, "GET", "/v1/publishers", "/v1/publishers?founded[gt]=x")
    send(404, "GET", "/v1/publishers/{id}", "/v1/publishers/nobody-at-all")
    for n in range(3):
        send(201, "POST", "/v1/publishers", "/v1/publishers", {"id": f"counted-{n}", "name": f"Counted {n}"})
    send(409, "POST", "/v1/publishers", "/v1/publishers", {"id": "counted-0", "name": "Other"})
    send(422, "POST", "/v1/publishers", "/v1/publishers", {"name": 7})
    while sum(sent.values()) < ADMITTED:
        send(200, "GET", "/v1/publishers/{id}", "/v1/publishers/counted-0")
    for _ in range(OVER):
        send(429, "GET", "/v1/publishers/{id}", "/v1/publishers/counted-0")
    return sent


def flushed():
    """Every instance flushes what it counted beside its next requests, so each must get some; then the reporter does its part."""
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        calls = [pool.submit(stack.call, "GET", "/v1/_usage", admin) for _ in range(16)]
        calls += [pool.submit(stack.call, "GET", "/v1/openapi.json") for _ in range(8)]
        calls += [pool.submit(stack.call, "GET", "/v1/_shares/none") for _ in range(8)]
        for call in calls:
            call.result()
    stack.report()


def published(began):
    """What CloudWatch has: of the consumer by metric, and requests by route and class."""
    client = boto3.client("cloudwatch")
    series = []
    for page in client.get_paginator("list_metrics").paginate(Namespace="Holdfast"):
        series += page["Metrics"]
    ended = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=2)
    own, routes = {}, Counter()
    for metric in series:
        dimensions = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
        if metric["MetricName"] == "RouteLatency":
            statistic, place = "SampleCount", (dimensions["Route"], dimensions["Class"])
        elif dimensions.get("Consumer") == "counted":
            statistic, place = "Sum", None
        else:
            continue
        points = client.get_metric_statistics(
            Namespace="Holdfast", MetricName=metric["MetricName"], Dimensions=metric["Dimensions"], StartTime=began, EndTime=ended,
            Period=60, Statistics=[statistic])["Datapoints"]
        total = round(sum(point[statistic] for point in points))
        if place:
            routes[place] += total
        else:
            own[metric["MetricName"]] = total
    return own, routes


def told(query):
    """Requests by route and class, as the API tells them."""
    answer = stack.call("GET", f"/v1/_usage?group_by=consumer,route,status&granularity=minute{query}", admin).expect(200)
    rows = Counter()
    for row in answer.body["data"]:
        rows[row["route"], row["status"]] += row["requests"]
    return rows


def still(routes):
    return {place: requests for place, requests in routes.items() if place[0] not in MOVING}


def moment(ago):
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=ago)


began = moment(50)
sent = load()
expected = {"ConsumerRequests": ADMITTED + OVER, "ConsumerDenied": OVER}
until = time.monotonic() + 90
while True:
    time.sleep(5.5)  # an instance flushes what is older than 5 seconds
    flushed()
    own, routes = published(began)
    usage = told("")
    agreed = {name: own.get(name) for name in expected} == expected and still(routes) == still(usage)
    if agreed or time.monotonic() > until:
        break
mine = told("&consumer=counted")
print(f"of the consumer: sent {sum(sent.values())}, /v1/_usage {sum(mine.values())}, CloudWatch {own}")
print(f"of everybody, routes that stand still: /v1/_usage {sum(still(usage).values())}, CloudWatch {sum(still(routes).values())}, "
      f"in {len(still(routes))} series")
if mine != sent:
    sys.exit(f"/v1/_usage tells something else of the consumer than was sent:\n{mine}\n{sent}")
if not agreed:
    only = {place: (still(usage).get(place), still(routes).get(place)) for place in {**still(usage), **still(routes)}}
    sys.exit(f"CloudWatch has other numbers than /v1/_usage: {[item for item in only.items() if item[1][0] != item[1][1]]}")
