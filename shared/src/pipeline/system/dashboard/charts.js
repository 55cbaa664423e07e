"use strict";
// Line charts over time on a canvas. `lineChart` draws into a frame and answers how to move its cursor and to fit a new width; words,
// legend and keys belong to the page.
const lineChart = (() => {
  const MARGIN = {left: 60, right: 14, top: 10, bottom: 26};
  const MINUTE = 60, HOUR = 3600, DAY = 86400;
  const TIME_STEPS = [MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 28 * DAY];
  // Pixels that a label needs on each axis.
  const ROOM = {x: 76, y: 36};
  // Up to so many points each one is marked.
  const MARKED = 31;

  // The smallest of 1, 2, 5, 10, 20, ... that divides `most` into at most `count` steps.
  const niceStep = (most, count) => {
    const power = 10 ** Math.floor(Math.log10(most / count));
    return [1, 2, 5, 10].map((factor) => factor * power).find((step) => most / step <= count);
  };

  // Values at which labels stand, from 0; `least` apart at the least, so that counts get no fractions.
  const valueTicks = (most, height, least) => {
    const step = Math.max(least, niceStep(most, Math.max(2, Math.floor(height / ROOM.y))));
    return Array.from({length: Math.floor(most / step + 1e-9) + 1}, (_, n) => n * step);
  };

  // Times at which labels stand: whole minutes, hours or days of the reader's clock, or of UTC where points are days.
  const timeTicks = (times, width) => {
    const [first, last] = [times[0], times[times.length - 1]];
    const utc = times.length > 1 && times[1] - first >= DAY;
    const step = TIME_STEPS.find((step) => (last - first) / step * ROOM.x <= width) || TIME_STEPS[TIME_STEPS.length - 1];
    const offset = (time) => utc ? 0 : new Date(time * 1000).getTimezoneOffset() * MINUTE;
    const start = Math.ceil((first - offset(first)) / step) * step + offset(first);
    // Clocks may be put forward or back within the range.
    const aligned = (time) => time + offset(time) - offset(first);
    const label = (time) => {
      const midnight = (time - offset(time)) % DAY === 0;
      const form = midnight ? {day: "numeric", month: "short"} : {hour: "2-digit", minute: "2-digit"};
      return new Date(time * 1000).toLocaleString("en-GB", utc ? {...form, timeZone: "UTC"} : form);
    };
    const count = Math.max(0, Math.floor((last - start) / step) + 1);
    return Array.from({length: count}, (_, n) => aligned(start + n * step)).map((time) => ({time, label: label(time)}));
  };

  const peak = (series) => series.reduce((most, {values}) => values.reduce((most, value) => Math.max(most, value || 0), most), 0);

  // Runs of neighbouring points that have a value.
  const runs = (values) => values.reduce((runs, value, n) => {
    if (value === null || value === undefined) return runs;
    const run = runs[runs.length - 1];
    run && run[run.length - 1] === n - 1 ? run.push(n) : runs.push([n]);
    return runs;
  }, []);

  // times: seconds, ascending; series: [{colour, values, fill?, dash?}]; most: the fixed top of the axis; least: the smallest step
  // between its labels; marks: [{from, to}] in seconds; number: the text of a value; colours: the present colour of a name;
  // onPoint: called with the index under the cursor, or with null when there is none.
  return (frame, {times, series, most, least = 0, marks = [], number, colours, height, onPoint}) => {
    const canvas = document.createElement("canvas");
    frame.replaceChildren(canvas);
    const context = canvas.getContext("2d");
    let width = 0, cursor = null, shown = series;

    const area = () => ({width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom});
    const span = Math.max(1, times[times.length - 1] - times[0]);
    const x = (time) => MARGIN.left + (times.length === 1 ? 0.5 : (time - times[0]) / span) * area().width;
    const top = () => most || peak(shown) * 1.08 || 1;
    const y = (value) => MARGIN.top + (1 - value / top()) * area().height;

    const line = (from, to) => {
      context.beginPath();
      context.moveTo(...from);
      context.lineTo(...to);
      context.stroke();
    };
    const dot = (time, value, radius) => {
      context.beginPath();
      context.arc(x(time), y(value), radius, 0, 2 * Math.PI);
      context.fill();
    };

    const axes = () => {
      context.lineWidth = 1;
      context.font = "12px system-ui";
      context.strokeStyle = colours("grid");
      context.fillStyle = colours("c3");
      context.textAlign = "right";
      context.textBaseline = "middle";
      const compact = (value) => value >= 10000 ? value.toLocaleString("en", {notation: "compact"}) : number(value);
      for (const value of valueTicks(top(), area().height, least)) {
        line([MARGIN.left, y(value)], [width - MARGIN.right, y(value)]);
        context.fillText(compact(value), MARGIN.left - 8, y(value));
      }
      context.textAlign = "center";
      context.textBaseline = "top";
      for (const {time, label} of timeTicks(times, area().width)) {
        line([x(time), MARGIN.top], [x(time), height - MARGIN.bottom + 4]);
        context.fillText(label, Math.min(x(time), width - ROOM.x / 3), height - MARGIN.bottom + 8);
      }
    };

    // A band over each mark, and a sign that does without colour.
    const bands = () => {
      context.fillStyle = colours("c2");
      context.textAlign = "left";
      context.textBaseline = "top";
      context.font = "bold 13px system-ui";
      for (const {from, to} of marks.filter(({from, to}) => to >= times[0] && from <= times[times.length - 1])) {
        const left = Math.max(x(from), MARGIN.left);
        const right = Math.min(Math.max(x(to), left + 4), width - MARGIN.right);
        context.globalAlpha = 0.18;
        context.fillRect(left, MARGIN.top, right - left, area().height);
        context.globalAlpha = 1;
        context.fillText("!", left + 2, MARGIN.top + 2);
      }
    };

    const curve = ({colour, values, fill, dash}) => {
      context.strokeStyle = context.fillStyle = colours(colour);
      context.lineWidth = 2;
      context.lineJoin = "round";
      context.setLineDash(dash || []);
      for (const run of runs(values)) {
        const path = new Path2D();
        run.forEach((n) => path.lineTo(x(times[n]), y(values[n])));
        context.stroke(path);
        if (fill) {
          path.lineTo(x(times[run[run.length - 1]]), y(0));
          path.lineTo(x(times[run[0]]), y(0));
          context.globalAlpha = 0.12;
          context.fill(path);
          context.globalAlpha = 1;
        }
        if (!dash && (times.length <= MARKED || run.length === 1)) run.forEach((n) => dot(times[n], values[n], 2.5));
      }
      context.setLineDash([]);
    };

    const pointer = () => {
      if (cursor === null) return;
      context.lineWidth = 1;
      context.strokeStyle = colours("c3");
      line([x(times[cursor]), MARGIN.top], [x(times[cursor]), height - MARGIN.bottom]);
      for (const {colour, values} of shown.filter(({values}) => typeof values[cursor] === "number")) {
        context.fillStyle = colours(colour);
        dot(times[cursor], values[cursor], 4);
      }
    };

    const render = () => {
      context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
      context.clearRect(0, 0, width, height);
      bands();
      axes();
      shown.forEach(curve);
      pointer();
    };

    const resize = (to) => {
      if (to === width) return;
      width = to;
      canvas.width = Math.round(width * devicePixelRatio);
      canvas.height = Math.round(height * devicePixelRatio);
      // No percentage: the canvas must not hold its container open when that shrinks.
      canvas.style.width = width + "px";
      canvas.style.height = height + "px";
      render();
    };

    const point = (index) => {
      if (index === cursor) return;
      cursor = index;
      render();
      onPoint(index);
    };

    const nearest = (left) => Math.round((left - MARGIN.left) / Math.max(1, area().width) * (times.length - 1));
    canvas.addEventListener("pointermove", (event) => point(Math.min(Math.max(nearest(event.offsetX), 0), times.length - 1)));
    canvas.addEventListener("pointerleave", () => point(null));

    return {
      resize,
      point,
      show: (some) => {
        shown = some;
        render();
      },
    };
  };
})();
