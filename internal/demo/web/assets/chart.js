// SPDX-License-Identifier: Apache-2.0

import { tick, time } from "./format.js";

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The colour of the i-th line. */
export const color = (i) => style(`--s${(i % 8) + 1}`);

/**
 * A line chart in an element. It is drawn anew when its lines, its width or the colour scheme change,
 * and only gets new data otherwise.
 */
export class Chart {
  #element; #height; #plot = null; #key = ""; #lines = []; #data = null; #marks = [];

  constructor(element, height) {
    this.#element = element;
    this.#height = height;
    new ResizeObserver(() => this.#fit()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#key = "";
      if (this.#data) this.show(this.#lines, this.#data, this.#marks);
    });
  }

  /**
   * lines: [{name, color, width}], data: [times, values of line 1, ...]; times in seconds, a missing value is null.
   * marks: times of upright lines.
   */
  show(lines, data, marks = []) {
    this.#lines = lines;
    this.#data = data;
    this.#marks = marks;
    const key = JSON.stringify(lines);
    if (this.#plot && key === this.#key) {
      this.#plot.setData(data);
      return;
    }
    this.#key = key;
    this.#plot?.destroy();
    const axis = {
      stroke: style("--muted"), font: `12px ${style("--sans")}`,
      grid: { stroke: style("--line"), width: 1 }, ticks: { show: false },
    };
    this.#plot = new uPlot({
      width: this.#element.clientWidth, height: this.#height,
      legend: { show: false }, cursor: { y: false, points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 0) > 0 ? high * 1.08 : 1] } },
      axes: [
        { ...axis, grid: { show: false }, space: 90, size: 32, values: (_, ticks) => ticks.map(time) },
        { ...axis, size: 44, values: (_, ticks) => ticks.map(tick) },
      ],
      hooks: { drawAxes: [(plot) => this.#drawMarks(plot)] },
      series: [{}, ...lines.map((l) => ({
        label: l.name, stroke: l.color, width: l.width ?? 2, points: { show: false }, spanGaps: false,
      }))],
    }, data, this.#element);
  }

  clear() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#data = null;
  }

  #drawMarks(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = style("--bad");
    for (const t of this.#marks) {
      const x = plot.valToPos(t, "x", true);
      if (x >= bbox.left && x <= bbox.left + bbox.width) ctx.fillRect(Math.round(x), bbox.top, devicePixelRatio, bbox.height);
    }
    ctx.restore();
  }

  #fit() {
    const width = this.#element.clientWidth;
    if (this.#plot && width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: this.#height });
  }
}

/** The legend of a chart: lines as above, each with a text. */
export function legend(element, lines) {
  element.replaceChildren(...lines.map((l) => {
    const item = document.createElement("li");
    const mark = document.createElement("i");
    mark.style.background = l.color;
    const text = document.createElement("span");
    text.textContent = l.name;
    item.append(mark, text);
    item.title = l.name;
    if (l.now !== undefined) {
      const now = document.createElement("b");
      now.className = "num";
      now.textContent = " " + l.now;
      item.append(now);
    }
    return item;
  }));
}
