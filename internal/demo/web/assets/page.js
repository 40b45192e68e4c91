// SPDX-License-Identifier: Apache-2.0

import { Chart, color, legend } from "./chart.js";
import { clock, count, size } from "./format.js";
import { startQueries } from "./query.js";

const pollEvery = 1000; // milliseconds
const $ = (id) => document.getElementById(id);
const text = (id, value) => { if ($(id).textContent !== value) $(id).textContent = value; };

const reasons = {
  namespace: "another namespace",
  object_namespace: "object of another namespace",
  component: "unlisted component",
  metric: "unlisted metric",
  secret: "secret in a label",
  label_count: "too many labels",
  label_name_length: "label name too long",
  label_value_length: "label value too long",
  series_limit: "series limit",
  metric_series_limit: "series limit of a metric",
  component_series_limit: "series limit of a component",
  collision: "label collision",
  stale: "stale, of a dropped series",
};

const throughput = new Chart($("chart"), 240);
const ofTheLog = [
  { id: "backlog", key: "backlog", text: (n) => count(n) },
  { id: "age", key: "age", text: (n) => n.toFixed(1) + " s" },
  { id: "bytes", key: "log_bytes", text: size, scale: 1 / 1024, unit: "KiB" },
].map((c) => ({ ...c, chart: new Chart($(c.id + "-chart"), 130) }));

/** What a counter gained per second, over the last few seconds, so that a scrape every second does not flicker. */
function rates(history, key, window = 4) {
  return history.map((now, i) => {
    const before = history[Math.max(0, i - window)];
    return i === 0 ? null : Math.max(0, (now[key] - before[key]) / (now.t - before.t));
  });
}

function showChart(history) {
  const lines = [
    { key: "scraped", name: "scraped, points/s", color: color(0) },
    { key: "kept", name: "kept, points/s", color: color(1) },
    { key: "delivered", name: "delivered, samples/s", color: color(2) },
  ];
  const data = lines.map((l) => rates(history, l.key));
  lines.forEach((l, i) => { l.now = count(data[i].at(-1) ?? 0); });
  throughput.show(lines.map(({ name, color }) => ({ name, color })), [history.map((m) => m.t), ...data]);
  legend($("chart-legend"), lines);
}

/** The log, with a mark where the collector was killed. */
function showLog(log, kills, history) {
  text("kills", count(kills));
  text("accepted", count(log.accepted));
  text("acknowledged", count(log.acknowledged));
  text("backlog", count(log.backlog));
  text("aside", count(log.expired + log.quarantined + log.dropped));
  const times = history.map((m) => m.t);
  const marks = history.filter((m, i) => i > 0 && m.kills > history[i - 1].kills).map((m) => m.t);
  for (const { id, key, chart, text: written, scale = 1, unit = "" } of ofTheLog) {
    text(id + "-now", written(log[id]));
    chart.show([{ name: key + unit, color: color(id === "backlog" ? 1 : id === "age" ? 3 : 2) }], [times, history.map((m) => m[key] * scale)], marks);
  }
}

function element(name, className, ...content) {
  const e = document.createElement(name);
  if (className) e.className = className;
  e.append(...content);
  return e;
}

function bar(share, className = "") {
  const fill = element("span");
  fill.style.width = `${Math.min(100, 100 * share)}%`;
  return element("div", className, fill);
}

function showDrops(dropped) {
  const sorted = Object.entries(dropped).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  const most = sorted[0]?.[1] ?? 1;
  $("drops").replaceChildren(...sorted.map(([reason, n]) => {
    const item = element("li", "", element("span", "", reasons[reason] ?? reason), element("span", "num", count(n)), bar(n / most, "bar"));
    item.dataset.reason = reason;
    return item;
  }));
  if (!sorted.length) $("drops").replaceChildren(element("li", "muted", "Nothing yet."));
}

function showComponents(components, limit) {
  text("limit", count(limit));
  const rows = Object.entries(components).sort(([a, x], [b, y]) => (a === "other") - (b === "other") || y.kept - x.kept);
  $("components").replaceChildren(...rows.map(([name, c]) => {
    const last = element("td");
    if (name !== "other") {
      last.append(element("div", c.series >= limit ? "meter full" : "meter", bar(c.series / limit), element("b", "right num", count(c.series))));
    }
    return element("tr", "", element("td", "", name), element("td", "right", count(c.kept)), element("td", "right", count(c.dropped)), last);
  }));
}

function labelLines(name, labels, mark) {
  const lines = labels.map(([label, value]) => element("span", `pair ${mark(label, value)}`, `${label}=${JSON.stringify(value)}`));
  return [name + "{", ...lines, "}"];
}

function showIdentity(state) {
  const claimed = Object.entries(state.claimed);
  $("claimed").replaceChildren(...labelLines("http_requests_total", [...claimed, ["status", "2xx"]], (_, v) => Object.values(state.claimed).includes(v) ? "claim" : ""));
  if (!state.spoofed) return;
  const { __name__: name, ...labels } = state.spoofed;
  const shown = ["organization", "runner", "exported_organization", "exported_runner", "app", "namespace"];
  $("stored").replaceChildren(...labelLines(name, shown.filter((l) => l in labels).map((l) => [l, labels[l]]),
    (l) => l.startsWith("exported_") ? "claim" : l in state.identity ? "own" : ""));
  text("spoof-note", `${count(state.result.spoofed_series)} series carry the claim, in exported_* only. Prometheus has the same rule for labels that a target exposes and the scraper sets.`);
}

function show(state) {
  const r = state.result, seconds = Math.max(r.seconds, 0.001);
  const dropped = r.scraped - r.kept;
  text("phase", state.phase);
  $("phase").className = state.phase === "running" ? "pill live" : "pill";
  text("clock", clock(r.seconds) + (state.planned ? " of " + clock(state.planned) : ""));

  text("scraped", count(r.scraped));
  text("scraped-detail", `${count(r.scraped / seconds)} a second on average`);
  text("kept", count(r.kept));
  text("kept-detail", `${count(dropped)} dropped`);
  const share = r.scraped ? (100 * r.kept) / r.scraped : 0;
  $("split-kept").style.width = `${share}%`;
  $("split-dropped").style.width = r.scraped ? `${100 - share}%` : "0";
  text("delivered", count(r.delivered));
  text("delivered-detail", r.delivered ? `${size(r.bytes_sent)}, ${(r.bytes_sent / r.delivered).toFixed(1)} bytes a sample` : "");
  text("queryable", count(r.queryable));
  text("queryable-detail", `${count(r.series)} series`);

  const settled = state.phase === "done";
  // Until the counts are final, what is missing is on its way.
  promise("lost", settled ? r.lost : 0);
  text("lost-note", !settled && r.lost > 0 ? `${count(r.lost)} on the way` + (r.kills ? `, ${count(r.kills)} kills` : "") : `of ${count(r.kept_samples)} kept` + (r.kills ? `, ${count(r.kills)} kills` : ""));
  promise("foreign", r.foreign_series);
  promise("secrets", r.secret_series);
  promise("spoofed", r.spoofed_identities);

  showChart(state.history ?? []);
  showLog(r.log, r.kills, state.history ?? []);
  showDrops(r.dropped ?? {});
  showComponents(state.components ?? {}, state.component_limit);
  showIdentity(state);
  $("footer").replaceChildren(...[
    `collector: ${(100 * r.cpu_seconds / seconds).toFixed(0)}% of a core, ${r.rss_mib.toFixed(0)} MiB`,
    `first sample stored after ${r.seconds_to_first_sample.toFixed(1)} s`,
    `${count(r.native_histogram_samples)} native histogram samples`,
    `${count(r.requests)} remote-write requests`,
  ].map((t) => element("span", "", t)));
}

function promise(id, n) {
  text(id, count(n));
  $(id).classList.toggle("bad", n !== 0);
}

async function poll() {
  if (!document.hidden) {
    try {
      const response = await fetch("demo/state");
      show(await response.json());
    } catch {
      text("phase", "ended");
      $("phase").className = "pill gone";
    }
  }
  setTimeout(poll, pollEvery);
}

poll();
startQueries();
