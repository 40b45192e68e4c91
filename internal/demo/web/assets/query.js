// SPDX-License-Identifier: Apache-2.0

import { Chart, color, legend } from "./chart.js";
import { series, value } from "./format.js";

const $ = (id) => document.getElementById(id);
const refreshEvery = 5000; // milliseconds
const mostLines = 16;
const longest = 600; // seconds of a chart

const examples = [
  ["requests by component", 'sum by (app) (rate(http_requests_total[15s]))'],
  ["drops by reason", 'sum by (reason) (rate(otelcol_processor_runner_points_total{decision="dropped"}[15s]))'],
  ["tool-manager p90", 'histogram_quantile(0.9, sum by (le) (rate(http_request_duration_highr_seconds_bucket[30s])))'],
  ["native histogram p90", 'histogram_quantile(0.9, sum by (step) (rate(workflow_engine_step_duration_seconds[30s])))'],
  ["series by component", 'count by (app) ({organization="acme"})'],
  ["the impostor", 'http_requests_total{exported_organization!=""}'],
  ["the neighbour", '{namespace="payments"} or {kubernetes_namespace="payments"}'],
];

const chart = new Chart($("result-chart"), 240);
let asChart = true;
let asked = 0; // the number of the last question: an older answer that arrives late is not shown
const opened = Date.now() / 1000;

export function startQueries() {
  $("examples").replaceChildren(...examples.map(([name, expr]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => { $("expr").value = expr; run(); });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  $("query").addEventListener("submit", (event) => { event.preventDefault(); run(); });
  $("as-table").addEventListener("click", () => choose(false));
  $("as-chart").addEventListener("click", () => choose(true));
  // A link may carry a question: #expr=up&view=table
  const link = new URLSearchParams(location.hash.slice(1));
  $("expr").value = link.get("expr") ?? examples[0][1];
  choose(link.get("view") !== "table");
  setInterval(() => { if (!document.hidden && document.activeElement !== $("expr")) run(); }, refreshEvery);
}

function choose(toChart) {
  asChart = toChart;
  $("as-chart").setAttribute("aria-pressed", String(toChart));
  $("as-table").setAttribute("aria-pressed", String(!toChart));
  run();
}

async function run() {
  const expr = $("expr").value.trim();
  if (!expr) return;
  const number = ++asked;
  history.replaceState(null, "", "#" + new URLSearchParams({ expr, view: asChart ? "chart" : "table" }));
  let answer;
  try {
    answer = await ask(expr);
  } catch {
    answer = { error: "The demo does not answer: it has probably ended." };
  }
  if (number !== asked) return;
  if (answer.status !== "success") {
    empty(answer.error ?? "The answer is not one of Prometheus's.", true);
    return;
  }
  const result = answer.data.resultType === "scalar" || answer.data.resultType === "string"
    ? [{ metric: {}, value: answer.data.result }] : answer.data.result;
  if (!result.length) {
    empty("No series.", false);
    return;
  }
  if (asChart) showChart(result); else showTable(result);
}

async function ask(expr) {
  const now = Date.now() / 1000;
  const parameters = new URLSearchParams({ query: expr });
  let path = "api/v1/query";
  if (asChart) {
    // From a little before the page was opened; later, a window that moves.
    const start = Math.max(opened - 120, now - longest);
    path = "api/v1/query_range";
    parameters.set("start", start);
    parameters.set("end", now);
    parameters.set("step", Math.max(1, Math.round((now - start) / 240)));
  } else {
    parameters.set("time", now);
  }
  const response = await fetch(`${path}?${parameters}`);
  return response.json();
}

function message(content, isError) {
  $("query-message").textContent = content;
  $("query-message").className = isError ? "error" : "muted";
}

function empty(content, isError) {
  message(content, isError);
  chart.clear();
  legend($("result-legend"), []);
  $("result-table").hidden = true;
}

function showChart(result) {
  const shown = result.slice(0, mostLines);
  const plain = shown.filter((s) => s.values);
  if (!plain.length) {
    empty("Native histograms have no line: put histogram_quantile, histogram_count or histogram_sum around them, or look at the table.", false);
    return;
  }
  message(result.length > mostLines ? `${result.length} series, the first ${mostLines} of them shown` : `${result.length} series`, false);
  const times = [...new Set(plain.flatMap((s) => s.values.map(([t]) => t)))].sort((a, b) => a - b);
  const lines = plain.map((s, i) => ({ name: series(s.metric), color: color(i + 1), width: 1.75 }));
  const data = plain.map((s) => {
    const byTime = new Map(s.values);
    return times.map((t) => {
      const v = Number(byTime.get(t));
      return Number.isFinite(v) ? v : null;
    });
  });
  $("result-table").hidden = true;
  chart.show(lines, [times, ...data]);
  legend($("result-legend"), lines.map((l, i) => ({ ...l, now: value(data[i].findLast((v) => v !== null) ?? NaN) })));
}

function showTable(result) {
  message(`${result.length} series`, false);
  chart.clear();
  legend($("result-legend"), []);
  $("result-table").tBodies[0].replaceChildren(...result.map((s) => {
    const row = document.createElement("tr");
    const name = row.insertCell();
    name.className = "series";
    name.textContent = series(s.metric);
    const cell = row.insertCell();
    cell.className = "right";
    cell.textContent = s.histogram
      ? `${value(Number(s.histogram[1].count))} observations, sum ${value(Number(s.histogram[1].sum))}`
      : value(Number(s.value[1]));
    return row;
  }));
  $("result-table").hidden = false;
}
