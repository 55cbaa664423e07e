"use strict";
(() => {
  const RANGES = {"1h": "last hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days"};
  const at = (id) => document.getElementById(id);
  const state = {token: "", range: "24h", consumer: "", data: null, asked: 0, timer: null, plots: new Map()};

  // Texts from the API become text nodes only: nothing in them is ever read as markup.
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return node;
  };
  const whole = (value) => value === null || value === undefined ? "–" : value.toLocaleString("en", {maximumFractionDigits: 0});
  const fine = (value) => value === null || value === undefined ? "–" : value.toLocaleString("en", {maximumFractionDigits: value < 10 ? 2 : 1});
  const share = (part, of) => of ? fine(100 * part / of) + " %" : "–";
  const dollars = (value) => "$" + (!value ? "0" : value >= 100 ? value.toFixed(0) : value >= 0.01 ? value.toFixed(2) : value.toPrecision(2));
  const when = (iso, step) => new Date(iso).toLocaleString("en-GB", step >= 86400 ? {dateStyle: "medium", timeZone: "UTC"} : {dateStyle: "medium", timeStyle: "short"});

  const say = (text, bad) => {
    at("state").textContent = text;
    at("state").className = bad ? "bad" : "";
  };

  // The colour that a class has now: canvases know nothing of style sheets.
  const colour = (name) => {
    const probe = make("span", {class: name});
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  // Every step of the range, those without requests too: times and, by start, what was counted.
  const steps = (data) => {
    const step = data.range.step_seconds;
    const first = Date.parse(data.range.from) / 1000;
    const counted = new Map(data.series.map((point) => [Date.parse(point.start) / 1000, point]));
    const times = Array.from({length: data.range.points}, (_, n) => first + n * step);
    return {times, points: times.map((time) => counted.get(time) || null)};
  };
  const column = (points, name, empty) => points.map((point) => point ? point[name] : empty);

  const limitOf = (data) => data.limits.filter((limit) => limit.per_step !== null).reduce((least, limit) => !least || limit.per_step < least.per_step ? limit : least, null);

  const charts = (data) => {
    const {times, points} = steps(data);
    const requests = {
      series: [
        {label: "requests", colour: "c0", fill: true, values: column(points, "requests", 0)},
        {label: "denied", colour: "c1", values: column(points, "denied", 0)},
        {label: "errors", colour: "c2", values: column(points, "errors", 0)},
      ],
      number: whole,
      least: 1,
    };
    const limit = limitOf(data);
    if (limit) {
      // A limit far above everything would flatten what is to be seen: it is drawn where it is near, and told always.
      const most = Math.max(1, ...requests.series[0].values);
      requests.note = "Limit: " + limit.type + " " + limit.name + ", " + whole(limit.per_step) + " units per step" + (limit.per_step > 8 * most ? " (above the chart)" : "");
      if (limit.per_step <= 8 * most) requests.series.push({label: "limit", colour: "c3", dash: [8, 6], values: times.map(() => limit.per_step)});
    }
    requests.marks = data.anomalies.map(({hour}) => ({from: Date.parse(hour) / 1000, to: Date.parse(hour) / 1000 + Math.max(3600, data.range.step_seconds)}));
    const latency = {
      series: ["p50", "p90", "p95", "p99"].map((name, n) => ({label: name, colour: ["c0", "c4", "c1", "c2"][n], values: column(points, name + "_ms", null)})),
      number: fine,
    };
    const reads = (point) => point ? point.cache_hits + point.cache_misses : 0;
    const cache = {
      series: [{label: "hits", colour: "c0", values: points.map((point) => reads(point) ? 100 * point.cache_hits / reads(point) : null)}],
      number: fine,
      most: 100,
      empty: "No read of this time could be cached.",
    };
    draw("requests", times, requests, data);
    draw("latency", times, latency, data);
    draw("cache", times, cache, data);
  };

  // Which series the reader has put away, by chart; it outlives a refresh.
  const hidden = new Map();

  // A legend that shows the values under the cursor; its buttons put a series away and bring it back.
  const legend = (id, chart, changed) => {
    const away = hidden.get(id) || new Set();
    hidden.set(id, away);
    const entries = chart.series.map((series) => {
      const value = make("b", {});
      const button = make("button", {type: "button", "aria-pressed": String(!away.has(series.label)), "data-series": series.label},
        make("span", {class: "mark " + series.colour, "aria-hidden": "true"}), series.label, value);
      button.addEventListener("click", () => {
        away.delete(series.label) || away.add(series.label);
        button.setAttribute("aria-pressed", String(!away.has(series.label)));
        changed();
      });
      return {button, value, series};
    });
    const time = make("span", {class: "at"});
    return {
      node: make("div", {class: "legend", role: "group", "aria-label": "Series"}, time, entries.map(({button}) => button)),
      shown: () => chart.series.filter((series) => !away.has(series.label)),
      tell: (title, index) => {
        time.textContent = title;
        entries.forEach(({value, series}) => value.textContent = index === null ? "" : chart.number(series.values[index]));
      },
    };
  };

  // What has the focus in a chart that is about to be drawn anew: its frame, or a button of its legend.
  const focusIn = (place) => {
    const element = document.activeElement;
    if (!place.contains(element)) return null;
    return element.dataset.series ? "[data-series=\"" + element.dataset.series + "\"]" : "[role=img]";
  };

  const widthOf = (place) => Math.max(place.clientWidth - 18, 200);

  const draw = (id, times, chart, data) => {
    const place = at(id);
    const focused = focusIn(place);
    state.plots.delete(id);
    place.replaceChildren();
    if (!chart.series.some((series) => series.values.some((value) => value !== null && value !== 0))) {
      place.append(make("p", {}, chart.empty || "Nothing in this time."));
      return;
    }
    const frame = make("div", {tabindex: "0", role: "img", "aria-label": chart.series.map((series) => series.label).join(", ") + " over time; arrow keys move through it"});
    const said = make("p", {class: "said", role: "status", "aria-live": "polite"}, chart.note || "");
    const title = (index) => when(times[index] * 1000, data.range.step_seconds);
    const labels = legend(id, chart, () => plot.show(labels.shown()));
    place.append(frame, labels.node, said);
    const plot = lineChart(frame, {
      times, series: chart.series, most: chart.most, least: chart.least, marks: chart.marks, number: chart.number, colours: colour,
      height: innerWidth < 640 ? 200 : 260,
      onPoint: (index) => labels.tell(index === null ? "" : title(index), index),
    });
    plot.resize(widthOf(place));
    plot.show(labels.shown());
    let index = times.length - 1;
    frame.addEventListener("keydown", (event) => {
      const to = {ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: times.length - 1}[event.key];
      if (to === undefined) return;
      event.preventDefault();
      index = Math.min(Math.max(to, 0), times.length - 1);
      plot.point(index);
      const values = labels.shown().map((series) => series.label + " " + chart.number(series.values[index]));
      said.textContent = title(index) + ": " + values.join(", ");
    });
    frame.addEventListener("blur", () => plot.point(null));
    state.plots.set(id, {plot, place});
    if (focused) place.querySelector(focused)?.focus();
  };

  const table = (head, rows, empty) => rows.length
    ? make("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": "Table"}, make("table", {},
      make("thead", {}, make("tr", {}, head.map((title, n) => make("th", {scope: "col", class: rows[0][n] && rows[0][n].nodeType ? "text" : undefined}, title)))),
      make("tbody", {}, rows.map((row) => make("tr", {}, row.map((cell) => cell && cell.nodeType ? make("td", {class: "text"}, cell) : make("td", {}, cell)))))))
    : make("p", {}, empty);

  const SIGNS = {spike: "Far more requests", silence: "Silence", errors: "Errors", probing: "Probing", loop: "A loop", new_routes: "New routes"};

  const tables = (data) => {
    const total = data.total;
    const reads = total.cache_hits + total.cache_misses;
    const numbers = [
      [whole(total.requests), "requests"], [share(total.denied, total.requests), "denied by a limit"], [share(total.errors, total.requests), "errors"],
      [total.p95_ms === null ? "–" : fine(total.p95_ms) + " ms", "p95"], [share(total.cache_hits, reads), "cache hits"], [dollars(data.cost.dollars), "estimated cost"],
    ];
    at("numbers").replaceChildren(...numbers.map(([value, name]) => make("div", {class: "number"}, make("b", {}, value), make("span", {}, name))));
    at("odd").hidden = !data.anomalies.length;
    at("anomalies").replaceChildren(...data.anomalies.map((anomaly) => make("li", {}, make("b", {class: "bad"}, SIGNS[anomaly.sign] || anomaly.sign),
      " " + when(anomaly.hour, 3600) + (anomaly.consumer ? ", " + anomaly.consumer : "") + ": " + anomaly.evidence)));
    const code = (text) => make("code", {}, text);
    // A part that is written all the time is read past the cache.
    const cached = (line) => share(line.cache_hits, line.cache_hits + line.cache_misses) + (line.cache_hot ? " (hot: " + share(line.cache_hot, line.requests) + ")" : "");
    at("routes").replaceChildren(table(["Route", "Requests", "Denied", "Errors", "p95 ms", "Cache", "Units"],
      data.routes.map((line) => [code(line.route), whole(line.requests), whole(line.denied), whole(line.errors), fine(line.p95_ms), cached(line), whole(line.units)]), "No requests."));
    at("consumers").replaceChildren(table(["Consumer", "Requests", "Denied", "Errors", "p95 ms", "Limit used", "Units"],
      data.consumers.map((line) => [code(line.consumer), whole(line.requests), whole(line.denied), whole(line.errors), fine(line.p95_ms), line.limit_used === null ? "–" : fine(100 * line.limit_used) + " %", whole(line.units)]), "No consumer called."));
    // What is used up bites first, then what has the least share left.
    const rest = (limit) => limit.limit ? limit.remaining / limit.limit : 0;
    at("limits").replaceChildren(table(["Limit", "Kind", "Used", "Of", "Per", "All there again"],
      [...data.limits].sort((a, b) => rest(a) - rest(b)).map((limit) => [limit.remaining ? code(limit.name) : make("b", {class: "bad"}, limit.name + " is used up"), limit.type,
        whole(limit.used), whole(limit.limit), fine(limit.window_seconds) + " s", make("span", {}, new Date(limit.reset_at).toLocaleString())]), "No limits are known here: choose one consumer."));
    at("plans").replaceChildren(table(["List", "Index that would help", "Calls", "Examined", "Shown", "Mean ms", "Mean units"],
      data.plans.map((line) => [code(line.plan), line.index ? code(line.index) : make("span", {}, "–"), whole(line.calls), whole(line.examined), whole(line.returned), fine(line.mean_ms), fine(line.mean_units)]), "No list was read from the tables."));
    at("deprecated").replaceChildren(table(["Name", "Consumer", "Uses"], data.deprecated.map((line) => [code(line.name), code(line.consumer), whole(line.uses)]), "Nothing deprecated was used."));
    at("cost").replaceChildren(table(["Part", "US dollars"], Object.entries(data.cost.parts).map(([name, value]) => [name, dollars(value)]), ""),
      make("p", {class: "said"}, whole(data.cost.read_units) + " read and " + whole(data.cost.write_units) + " write units. List prices of us-east-1 on demand; without free tiers, logs, metrics and storage."));
    at("whose").hidden = !data.everybody;
    at("known").replaceChildren(...data.consumers.map((line) => make("option", {value: line.consumer})));
  };

  const show = () => {
    const data = state.data;
    at("controls").hidden = false;
    at("content").hidden = false;
    tables(data);
    charts(data);
    const who = data.consumer || "everybody";
    const told = data.total.requests ? "Usage of " + who : "No requests of " + who + " in this time";
    say(told + ", " + RANGES[data.range.name] + ", as of " + new Date(data.range.to).toLocaleTimeString("en-GB") + ".");
  };

  const load = async (quietly) => {
    clearTimeout(state.timer);
    if (!state.token) return;
    const asked = ++state.asked;
    if (!quietly) say("Loading.");
    at("content").setAttribute("aria-busy", "true");
    const query = new URLSearchParams({range: state.range, ...(state.consumer ? {consumer: state.consumer} : {})});
    try {
      const answer = await fetch("/v1/_usage/dashboard?" + query, {headers: {Accept: "application/json", Authorization: "Bearer " + state.token}, cache: "no-store"});
      const document = await answer.json();
      // An answer to a question that was replaced by another since is not shown.
      if (asked !== state.asked) return;
      if (!answer.ok) throw new Error(document.detail || document.message || String(answer.status));
      state.data = document;
      show();
    } catch (error) {
      if (asked !== state.asked) return;
      say("The usage could not be read: " + error.message + (state.data ? " What is shown is older." : ""), true);
    }
    at("content").removeAttribute("aria-busy");
    later();
  };

  // Every ten seconds where minutes are shown, else once a minute; not while nobody looks.
  const later = () => {
    clearTimeout(state.timer);
    if (!at("live").checked) return;
    const minutes = state.data && state.data.range.step_seconds === 60;
    state.timer = setTimeout(() => document.hidden ? later() : load(true), minutes ? 10000 : 60000);
  };

  at("ranges").append(...Object.entries(RANGES).map(([name, title]) => make("label", {},
    make("input", {type: "radio", name: "range", value: name, checked: name === state.range}), title)));
  at("ranges").addEventListener("change", (event) => {
    state.range = event.target.value;
    load();
  });
  at("credentials").addEventListener("submit", (event) => {
    event.preventDefault();
    state.token = at("token").value.trim();
    state.data = null;
    at("content").hidden = true;
    load();
  });
  at("consumer").addEventListener("change", () => {
    state.consumer = at("consumer").value.trim();
    load();
  });
  at("live").addEventListener("change", later);
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => state.data && charts(state.data));
  new ResizeObserver(() => {
    for (const {plot, place} of state.plots.values()) plot.resize(widthOf(place));
  }).observe(at("content"));
})();
