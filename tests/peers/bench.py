#!/usr/bin/env python3
"""Holdfast beside Directus, Django REST framework, PocketBase and a hand-written axum over PostgreSQL, on the same work: set up from the
registries, compared answer by answer, then timed in turns.

usage: tests/peers/bench.py                          all of it: half an hour to set up, an hour to measure
       tests/peers/bench.py --only holdfast,pocketbase --rounds 1 --seconds 2
       tests/peers/bench.py --write                  puts the table into docs/performance.md

Needs Python 3.11, wrk and PostgreSQL 15 (Debian's packages), npm and cargo. Keeps what it installs and makes under target/peers.
HOLDFAST_BINARY: measure this one instead of building profile `bench`.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import time

import rows
from axum_pg import Axum
from directus import Directus, DirectusCached
from drf import Drf, DrfCached
from holdfast import Holdfast, HoldfastNormal
from peer import HERE, ROOT, run
from pocketbase import PocketBase
from postgres import Postgres

CASES = ["item", "list", "cached list", "create"]
TITLES = {"item": "item by id", "list": "list of 20 with an embed", "cached list": "the same, cached", "create": "create"}
CONNECTIONS = [1, 16]
BEGIN, END = "<!-- peers: written by tests/peers/bench.py -->", "<!-- /peers -->"


def peers(work, only):
    """The peers that are wanted, those first that set others' data up."""
    postgres = Postgres(work / "postgres")
    made = {
        "holdfast": [Holdfast(work / "holdfast"), HoldfastNormal(work / "holdfast-normal")],
        "directus": [Directus(work / "directus"), DirectusCached(work / "directus-cached")],
        "drf": [Drf(work / "drf", postgres), DrfCached(work / "drf", postgres)],
        "pocketbase": [PocketBase(work / "pocketbase")],
        "axum": [Axum(work / "axum", postgres)],
    }
    unknown = set(only) - set(made)
    if unknown:
        sys.exit(f"no peer {', '.join(sorted(unknown))}; there are {', '.join(made)}")
    return [peer for name, group in made.items() if not only or name in only for peer in group]


def compare(peer):
    """Every answer that is timed has the right fields; what the clerk may not see is not there."""
    cases = peer.cases()
    if "item" in cases:
        chance, target = random.Random(1), cases["item"][1]
        for number in chance.sample(range(1, rows.ORDERS + 1), 40):
            status, answer = peer.ask("GET", target.format(id=number))
            expected = rows.expected_item(number)
            if expected is None:
                assert status in (403, 404), f"{peer.name}: order {number} is another region's, and was answered {status}"
                continue
            assert status == 200, f"{peer.name}: order {number}: {status} {answer}"
            assert rows.order(peer.item(answer)) == expected, f"{peer.name}: {answer} for {expected}"
            assert "margin" not in json.dumps(answer), f"{peer.name} shows the hidden field: {answer}"
    for case in ("list", "cached list"):
        for _ in range(2 if case in cases else 0):
            _, target, _, headers = cases[case]
            page = [rows.listed(row) for row in peer.page(peer.must("GET", target, headers=headers))]
            assert page == rows.expected_page(), f"{peer.name}, {case}: {page} for {rows.expected_page()}"
    if "create" in cases:
        method, target, body, headers = cases["create"]
        made = peer.must(method, target, body.replace("{seq}", str(time.time_ns() // 1_000_000)).encode(), headers)
        if "item" in cases:
            found = rows.order(peer.item(peer.must("GET", cases["item"][1].format(id=peer.created(made)))))
            assert (found["customer"], found["status"], found["total"]) == (5, "new", 10.0), f"{peer.name}: {found}"


def timed(peer, case, connections, seconds):
    """One run of wrk."""
    method, target, body, headers = peer.cases()[case]
    # Ids of creates never meet: no run creates a thousand in a millisecond.
    sequence = time.time_ns() // 1000
    lines = {**peer.headers, **headers, **({"content-type": "application/json"} if body else {})}
    environment = {
        **os.environ, "METHOD": method, "TARGET": target, "BODY": body or "", "SEQ": str(sequence),
        "HEADERS": "\n".join(f"{name}: {value}" for name, value in lines.items()),
    }
    before, _ = peer.usage()
    arguments = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "request.lua"), peer.url]
    said = run(*arguments, env=environment)
    after, memory = peer.usage()
    found = json.loads(next(line for line in said.splitlines() if line.startswith("JSON"))[5:])
    requests = max(1, found["requests"])
    return {
        "peer": peer.name, "case": case, "connections": connections, "rate": requests / (found["micros"] / 1e6),
        "bad": found["bad"], "p50": found["p50"] / 1e3, "p99": found["p99"] / 1e3,
        "cpu": (after - before) * 1e3 / requests, "memory": memory,
    }


def rounds(all_peers, arguments, log):
    """All runs: in each round every case with every number of connections, the peers one after another, so that what else the machine
    does meets all of them."""
    runs = []
    for number in range(arguments.rounds):
        for case in CASES:
            for connections in CONNECTIONS:
                for peer in all_peers:
                    if case not in peer.cases():
                        continue
                    if number == 0:
                        timed(peer, case, connections, 1)
                    one = {"round": number, **timed(peer, case, connections, arguments.seconds)}
                    runs.append(one)
                    log.write(json.dumps(one) + "\n")
                    log.flush()
                    print(f"{number} {case:12} {connections:2} {peer.name:36} {one['rate']:8.0f}/s {one['cpu']:6.2f} ms, bad {one['bad']}", flush=True)
    return runs


def table(runs, arguments):
    """Markdown: of each case and number of connections the medians, the spread, and how often a peer's rate goes into ours."""
    lines = [
        f"Medians of {arguments.rounds} interleaved rounds of {arguments.seconds} s, 1 / 16 connections; in brackets the smallest and greatest rate; "
        "*x* is the median over the rounds of our rate divided by theirs.", "",
        "| | requests/s | ms at p99 | CPU ms a request | memory MB | x |", "|---|---|---|---|---|---|",
    ]
    for case in CASES:
        names = list(dict.fromkeys(one["peer"] for one in runs if one["case"] == case))
        lines.append(f"| **{TITLES[case]}** | | | | | |")
        for name in names:
            cells = {title: [] for title in ("rate", "p99", "cpu", "memory", "x")}
            for connections in CONNECTIONS:
                of = [one for one in runs if (one["case"], one["connections"], one["peer"]) == (case, connections, name)]
                ours = [one for one in runs if (one["case"], one["connections"], one["peer"]) == (case, connections, Holdfast.name)]
                rates = [one["rate"] for one in of]
                bad = sum(one["bad"] for one in of)
                cells["rate"].append(f"{statistics.median(rates):.0f} ({min(rates):.0f}-{max(rates):.0f})" + (f", {bad} failed" if bad else ""))
                cells["p99"].append(f"{statistics.median(one['p99'] for one in of):.1f}")
                cells["cpu"].append(f"{statistics.median(one['cpu'] for one in of):.2f}")
                cells["memory"].append(str(max(one["memory"] for one in of)))
                ratios = [mine["rate"] / theirs["rate"] for mine, theirs in zip(ours, of)]
                cells["x"].append(f"{statistics.median(ratios):.2f}" if ratios and name != Holdfast.name else "")
            row = [" / ".join(cell) if any(cell) else "" for cell in cells.values()]
            lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join(lines)


def differences(all_peers):
    return "\n".join(f"- {peer.name}: {peer.differs}." for peer in all_peers if peer.differs)


def write(text):
    """Puts the text between the marks in docs/performance.md."""
    page = ROOT / "docs" / "performance.md"
    before, rest = page.read_text().split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of peers, separated by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "target" / "peers")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        run("apt-get", "install", "-y", "wrk")
    work = arguments.work.resolve()
    all_peers = peers(work, [name for name in arguments.only.split(",") if name])
    for peer in all_peers:
        print(f"setting up {peer.name}", flush=True)
        try:
            peer.set_up()
        except BaseException:
            peer.end_processes()
            raise
    # The second Holdfast works on a copy of the first one's data.
    first, second = work / "holdfast" / "data", work / "holdfast-normal" / "data"
    if first.exists() and not second.exists():
        shutil.copytree(first, second)
    try:
        for peer in all_peers:
            peer.start()
            compare(peer)
            print(f"{peer.name} answers right", flush=True)
        with open(work / "runs.jsonl", "a") as log:
            runs = rounds(all_peers, arguments, log)
    finally:
        for peer in all_peers:
            if peer.processes:
                peer.stop()
    text = f"{table(runs, arguments)}\n\nWhat differs from Holdfast, which runs with its defaults (limits, audit trail, durability `full`):\n{differences(all_peers)}"
    print(text)
    if arguments.write:
        write(text)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main()
