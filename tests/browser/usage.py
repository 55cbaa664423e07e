#!/usr/bin/env python3
"""The page of usage in a browser. usage: usage.py HOLDFAST CHROMIUM [SCREENSHOTS]"""
import contextlib
import datetime
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from playwright.sync_api import expect, sync_playwright

holdfast, chromium, screenshots = sys.argv[1:4]
NOW = datetime.datetime(2026, 11, 21, 12, 34, tzinfo=datetime.timezone.utc)
STEPS = {"1h": (60, 60), "6h": (60, 360), "24h": (3600, 24), "7d": (3600, 168), "30d": (3600, 720), "90d": (86400, 90)}
DEMO = [
    ("GET /v1/books", 0.42), ("GET /v1/books/{id}", 0.21), ("GET /v1/orders", 0.17), ("POST /v1/orders", 0.08),
    ("GET /v1/orders/{id}", 0.06), ("PATCH /v1/orders/{id}", 0.04), ("GET /v1/_me", 0.02),
]


@contextlib.contextmanager
def server():
    """A server in memory: its address and a token of the role admin."""
    process = subprocess.Popen([holdfast, "serve", "--memory", "--port", "0", "--no-demo"], stderr=subprocess.PIPE, text=True)
    try:
        token = None
        for line in process.stderr:
            found = re.match(r"\s+admin\s+(\S+)", line)
            token = found.group(1) if found else token
            if "listening on" in line:
                yield line.split()[-1], token
                break
        else:
            sys.exit("the server did not start")
    finally:
        process.terminate()
        process.wait(40)


def call(url, token, **headers):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}", **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def outcome(requests, anomalous):
    """What happened to so many requests."""
    denied, errors = int(requests * (0.2 if anomalous else 0.01)), int(requests * (0.3 if anomalous else 0.02))
    slow = 3 if anomalous else 1
    return {
        "requests": requests, "denied": denied, "errors": errors, "failures": errors // 9, "cache_hits": int(requests * 0.5), "cache_misses": int(requests * 0.2),
        "bytes": requests * 2100, "units": requests * 1.5, "p50_ms": 4.1 * slow, "p90_ms": 11.7 * slow, "p95_ms": 18.2 * slow, "p99_ms": 61.5 * slow,
    }


def generated(name, anomalies=False, empty=False):
    """What the API would answer for a consumer of this traffic."""
    step, points = STEPS[name]
    last = datetime.datetime.fromtimestamp(int(NOW.timestamp()) // step * step, datetime.timezone.utc)
    starts = [last - datetime.timedelta(seconds=step * n) for n in range(points - 1, -1, -1)]
    odd = {points * 2 // 3, points - 4} if anomalies else set()
    series = []
    for n, start in enumerate(starts):
        day = 0.15 if start.weekday() >= 5 else 1
        hour = 1 if step == 86400 else 0.55 - 0.45 * math.cos((start.hour - 3) / 24 * 2 * math.pi)
        requests = int(step / 60 * 40 * day * hour * (1 + 0.25 * math.sin(n * 2.7)) * (1 + n / points) * (6 if n in odd else 1))
        if not empty and n % 23 != 7:
            series.append({**outcome(requests, n in odd), "start": iso(start)})
    total = outcome(sum(point["requests"] for point in series), False)
    if empty:
        total.update({name: None for name in ("p50_ms", "p90_ms", "p95_ms", "p99_ms")})
    share = lambda part: outcome(int(total["requests"] * part), False)
    told = [
        {"hour": iso(starts[n]), "consumer": "acme", "sign": "spike", "seen": 900, "usual": 120, "evidence": "900 requests in an hour; usual are 120 (at this hour of the week)"}
        for n in sorted(odd)
    ]
    plans = [
        {"plan": "order: channel[eq], total[gte]; sort -placed_at; by by_channel", "calls": 8100, "examined": 812000, "returned": 40500, "mean_ms": 48.2, "mean_units": 25.5, "index": "by_channel_total: {equality: [channel], sort: [total]}"},
        {"plan": "book: all; by id", "calls": 40200, "examined": 804000, "returned": 804000, "mean_ms": 7.7, "mean_units": 3, "index": None},
    ]
    dollars = total["requests"] * 2.4e-6
    return {
        "total": total,
        "routes": [] if empty else [{**share(part), "route": route} for route, part in DEMO],
        "consumers": [] if empty else [{**share(1 / (n + 2)), "consumer": who, "limit_used": 0.97 / (n + 1)} for n, who in enumerate(["acme", "shop:berlin", "a-consumer-with-a-very-long-name.example.com", "<script>alert(1)</script>"])],
        "plans": [] if empty else plans,
        "deprecated": [] if empty else [{"name": "book.sku", "consumer": "acme", "uses": 1270}],
        "cost": {"dollars": dollars, "parts": {"tables": dollars / 2, "functions": dollars / 6, "gateway": dollars / 4, "transfer": dollars / 12}, "read_units": total["units"], "write_units": total["units"] / 8},
        "range": {"name": name, "from": iso(starts[0]), "to": iso(NOW), "step_seconds": step, "points": points},
        "consumer": None, "everybody": True, "series": series, "anomalies": told,
        "limits": [
            {"name": "hour", "type": "quota", "per_step": step / 3600 * 9000, "limit": 9000, "remaining": 0, "used": 9000, "window_seconds": 3600, "reset_at": "2026-11-21T05:00:00.000Z"},
            {"name": "burst", "type": "rate", "per_step": step * 50, "limit": 100, "remaining": 60, "used": 40, "window_seconds": 2, "reset_at": "2026-11-21T04:26:01.000Z"},
            {"name": "creates", "type": "rate", "per_step": None, "limit": 5, "remaining": 1, "used": 4, "window_seconds": 5, "reset_at": "2026-11-21T04:26:04.000Z"},
        ],
    }


class Browser:
    """A page of its own with what went wrong in it."""

    def __init__(self, browser, base, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.wrong, self.asked, self.answers = [], [], None
        self.page.on("console", lambda message: self.wrong.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(base + "/v1/_usage/dashboard")

    def give(self, **of):
        """From now on the data are generated."""
        def answer(route):
            name = re.search(r"range=(\w+)", route.request.url).group(1)
            route.fulfill(json=generated(name, **of))
        self.page.route("**/v1/_usage/dashboard?*", answer)

    def sign_in(self, token="any"):
        self.page.get_by_label("Token or API key").fill(token)
        self.page.get_by_role("button", name="Show").click()

    def choose(self, title):
        self.page.get_by_text(title, exact=True).click()

    def shoot(self, name):
        if screenshots:
            os.makedirs(screenshots, exist_ok=True)
            self.page.screenshot(path=os.path.join(screenshots, name + ".png"), full_page=True)

    def drawn(self, chart):
        """How many different colours a chart has: an empty canvas has one."""
        return self.page.evaluate("""(id) => {
            const canvas = document.querySelector(`#${id} canvas`);
            const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
            return new Set(pixels).size;
        }""", chart)

    def rows(self, chart, name):
        """The rows of a chart's canvas, in pixels of the page, that have a point in the colour of a class."""
        return self.page.evaluate("""([id, name]) => {
            const canvas = document.querySelector(`#${id} canvas`);
            const probe = document.body.appendChild(Object.assign(document.createElement("span"), {className: name}));
            const wanted = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
            probe.remove();
            // Of a copy: Chromium warns of a canvas that is drawn by the GPU and read often.
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
            copy.drawImage(canvas, 0, 0);
            const {data, width} = copy.getImageData(0, 0, canvas.width, canvas.height);
            const rows = new Set();
            for (let at = 0; at < data.length; at += 4) {
                if (wanted.every((part, n) => data[at + n] === part)) rows.add(Math.floor(at / 4 / width / devicePixelRatio));
            }
            return [...rows];
        }""", [chart, name])

    def fits(self):
        return self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    def close(self):
        assert not self.wrong, self.wrong
        self.context.close()


def real(browser, base, token):
    """A real server: refusal, real numbers, nothing asked of anybody else."""
    one = Browser(browser, base)
    page = one.page
    expect(page.locator("#state")).to_contain_text("Enter a token")
    expect(page.locator("#content")).to_be_hidden()
    one.shoot("start")
    one.sign_in("nonsense")
    expect(page.locator("#state")).to_contain_text("The usage could not be read")
    one.wrong.clear()  # the browser itself tells of the 401
    for path, status in [("/v1/shelves", 200), ("/v1/shelves", 200), ("/v1/shelves/none", 404), ("/v1/vouchers", 200)]:
        assert call(base + path, token)[0] == status
    one.sign_in(token)
    expect(page.locator("#state")).to_contain_text("Usage of everybody, 24 hours")
    row = page.locator("#routes tr", has_text="GET /v1/shelves").first
    expect(row.locator("td").nth(1)).to_have_text("2")
    expect(page.locator("#deprecated")).to_contain_text("voucher")
    one.choose("last hour")
    expect(page.locator("#state")).to_contain_text("last hour")
    status, told = call(base + "/v1/_usage?granularity=minute&group_by=route", token)
    requests = sum(line["requests"] for line in json.loads(told)["data"] if line["route"] == "GET /v1/shelves")
    assert (status, requests) == (200, 2), told
    page.get_by_role("combobox", name="Consumer").fill("nobody-of-this-name")
    page.get_by_role("combobox", name="Consumer").press("Enter")
    expect(page.locator("#state")).to_contain_text("No requests of nobody-of-this-name")
    expect(page.locator("#requests")).to_contain_text("Nothing in this time.")
    one.shoot("nobody")
    assert all(url.startswith(base) for url in one.asked), one.asked
    one.close()


def months(browser, base):
    """Ninety days, with anomalies; keyboard; live."""
    one = Browser(browser, base, viewport={"width": 1280, "height": 900})
    one.give(anomalies=True)
    one.sign_in()
    expect(one.page.locator("#anomalies li").first).to_contain_text("900 requests in an hour")
    for title, name in [("90 days", "90-days"), ("30 days", "30-days"), ("7 days", "7-days"), ("last hour", "last-hour")]:
        one.choose(title)
        expect(one.page.locator("#state")).to_contain_text(title)
        for chart in ("requests", "latency", "cache"):
            assert one.drawn(chart) > 3, (title, chart)
        one.shoot(name)
    assert one.page.locator("#consumers script").count() == 0, "names stay text"
    expect(one.page.locator("#consumers")).to_contain_text("<script>alert(1)</script>")
    expect(one.page.locator("#limits")).to_contain_text("hour is used up")
    expect(one.page.locator("#plans")).to_contain_text("by_channel_total: {equality: [channel], sort: [total]}")
    chart = one.page.locator("#requests [role=img]")
    chart.focus()
    one.page.keyboard.press("End")
    last = one.page.locator("#requests .said").text_content()
    one.page.keyboard.press("ArrowLeft")
    assert re.search(r"requests [\d,]+, denied [\d,]+, errors [\d,]+", last) and one.page.locator("#requests .said").text_content() != last, last
    # Everything can be reached without a mouse: the ranges are one group of radio buttons.
    one.page.get_by_role("radio", name="last hour").focus()
    one.page.keyboard.press("ArrowRight")
    expect(one.page.locator("#state")).to_contain_text("6 hours")
    before = len(one.asked)
    one.page.clock.install()
    one.choose("last hour")
    expect(one.page.locator("#state")).to_contain_text("last hour")
    one.page.clock.run_for(11_000)
    one.page.wait_for_timeout(200)
    live = len(one.asked) - before
    one.page.get_by_label("Live").uncheck()
    one.page.clock.run_for(60_000)
    assert live >= 2 and len(one.asked) - before == live, (live, len(one.asked) - before)
    one.close()


def charts(browser, base):
    """What a chart shows: lines where their values are, marks, the legend, the pointer, a new width."""
    one = Browser(browser, base, viewport={"width": 1280, "height": 900})
    one.give(anomalies=True)
    one.sign_in()
    one.choose("90 days")
    expect(one.page.locator("#state")).to_contain_text("90 days")
    # 71.4 % of an axis from 0 to 100 on 224 pixels that begin 10 below the top.
    rows = one.rows("cache", "c0")
    assert rows and all(abs(row - (10 + (1 - 0.714) * 224)) < 5 for row in rows), rows
    legend = one.page.locator("#requests .legend")
    for series in ("requests", "errors"):
        legend.get_by_role("button", name=series).click()
        expect(legend.get_by_role("button", name=series)).to_have_attribute("aria-pressed", "false")
    assert not one.rows("requests", "c0"), "what was put away is not drawn"
    assert one.rows("requests", "c1"), "the others are"
    assert one.rows("requests", "c2"), "anomalies have a sign of their own"
    # It stays away when the data are read again, and so does the focus.
    one.page.get_by_label("Live").uncheck()
    legend.get_by_role("button", name="requests").focus()
    one.page.evaluate("document.querySelector('[value=\"30d\"]').click()")
    expect(one.page.locator("#state")).to_contain_text("30 days")
    expect(legend.get_by_role("button", name="requests")).to_have_attribute("aria-pressed", "false")
    assert one.page.evaluate("document.activeElement.dataset.series") == "requests"
    one.page.keyboard.press("Enter")
    assert one.rows("requests", "c0"), "and comes back"
    canvas = one.page.locator("#requests canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    one.page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 100)
    expect(legend).to_contain_text(re.compile(r"21 Nov 2026.*requests[\d,]+denied[\d,]+"))
    one.page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 40)
    expect(legend).not_to_contain_text("2026")
    one.page.set_viewport_size({"width": 700, "height": 900})
    expect(canvas).to_have_css("width", re.compile(r"^6\d\dpx$"))
    assert one.fits() and one.drawn("requests") > 3
    one.close()
    calm = Browser(browser, base)
    calm.give()
    calm.sign_in()
    calm.page.locator("#requests").get_by_role("button", name="errors").click()
    assert not calm.rows("requests", "c2"), "no sign where nothing is odd"
    calm.close()


def looks(browser, base):
    """Nothing at all, dark, narrow, an error of the server."""
    none = Browser(browser, base)
    none.give(empty=True)
    none.sign_in()
    expect(none.page.locator("#state")).to_contain_text("No requests of everybody in this time")
    none.shoot("empty")
    none.close()
    dark = Browser(browser, base, color_scheme="dark", viewport={"width": 1280, "height": 900})
    dark.give(anomalies=True)
    dark.sign_in()
    dark.choose("90 days")
    expect(dark.page.locator("#state")).to_contain_text("90 days")
    background = dark.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(20, 22, 26)", background
    dark.shoot("dark")
    dark.page.emulate_media(color_scheme="light")
    assert dark.drawn("requests") > 3
    dark.close()
    narrow = Browser(browser, base, viewport={"width": 360, "height": 740}, device_scale_factor=2, is_mobile=True, has_touch=True)
    narrow.give(anomalies=True)
    narrow.sign_in()
    narrow.choose("7 days")
    expect(narrow.page.locator("#state")).to_contain_text("7 days")
    assert narrow.fits() and narrow.drawn("requests") > 3
    narrow.shoot("narrow")
    narrow.close()
    down = Browser(browser, base)
    down.page.route("**/v1/_usage/dashboard?*", lambda route: route.fulfill(status=503, json={"detail": "It is down."}))
    down.sign_in()
    expect(down.page.locator("#state")).to_have_text("The usage could not be read: It is down.")
    down.wrong.clear()
    down.close()


with server() as (base, token), sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    policy = urllib.request.urlopen(urllib.request.Request(base + "/v1/_usage/dashboard", headers={"Accept": "text/html"})).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy, policy
    real(browser, base, token)
    months(browser, base)
    charts(browser, base)
    looks(browser, base)
    browser.close()
print("the page of usage: as it should be")
