// A small line chart of one series.

import { drawing, element, setAttribute, setText } from "./dom.js";
import { amount, latency, rate } from "./format.js";

export const length = 300;

/** The series of a module: their names, formats and the minimum of their axis. */
export const series = [
  { key: "latency_s", label: "Latency", write: latency, least: 0.01 },
  { key: "variables_per_s", label: "Variables", write: rate, least: 5 },
  { key: "queue", label: "Queue", write: amount, least: 10 },
  { key: "errors", label: "Errors", write: amount, least: 3 },
];

const width = 300;
const height = 44;

/** The next of 1, 2, 5, 10, ... above a value, so that an axis does not change with every sample. */
export function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5]) if (value <= step * power) return step * power;
  return 10 * power;
}

/** The path of a line, with gaps where there is no value, and of the area below it. */
export function paths(values, top) {
  let line = "";
  let area = "";
  let start = null;
  const first = length - values.length;
  const x = (index) => (((first + index) * width) / (length - 1)).toFixed(1);
  values.forEach((value, index) => {
    if (value === null) {
      if (start !== null) area += `L${x(index - 1)} ${height}L${start} ${height}Z`;
      start = null;
      return;
    }
    const y = (height - 1 - (Math.min(value, top) / top) * (height - 3)).toFixed(1);
    if (start === null) {
      start = x(index);
      line += `M${start} ${y}h.01`;
      area += `M${start} ${y}`;
    } else {
      line += `L${x(index)} ${y}`;
      area += `L${x(index)} ${y}`;
    }
  });
  if (start !== null) area += `L${x(values.length - 1)} ${height}L${start} ${height}Z`;
  return { line, area };
}

function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low === Infinity ? null : { low, high };
}

export class Sparkline {
  constructor(kind) {
    this.kind = kind;
    this.area = drawing("path", { class: "area" });
    this.line = drawing("path", { class: "line" });
    this.cursor = drawing("line", { class: "cursor", y1: 0, y2: height, visibility: "hidden" });
    this.node = drawing("svg", {
      class: "plot", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false",
    }, this.area, this.line, this.cursor);
  }

  draw(values) {
    const range = extent(values);
    const top = ceiling(Math.max(this.kind.least, range?.high ?? 0));
    const { line, area } = paths(values, top);
    setAttribute(this.line, "d", line);
    setAttribute(this.area, "d", area);
    return range;
  }

  point(index) {
    setAttribute(this.cursor, "visibility", index === null ? "hidden" : "visible");
    if (index === null) return;
    const x = (index * width) / (length - 1);
    setAttribute(this.cursor, "x1", x);
    setAttribute(this.cursor, "x2", x);
  }
}

/** A chart with its name, its newest value and its peak. */
export class Chart {
  constructor(kind) {
    this.kind = kind;
    this.spark = new Sparkline(kind);
    this.number = element("span", { class: "figure" });
    this.unit = element("span", { class: "unit" });
    this.peak = element("span", { class: "peak" });
    this.spark.node.removeAttribute("aria-hidden");
    setAttribute(this.spark.node, "role", "img");
    this.node = element("div", { class: "chart", "data-series": kind.key },
      element("p", { class: "caption" }, element("span", { class: "label" }, kind.label), this.peak),
      element("p", { class: "value" }, this.number, this.unit),
      this.spark.node);
  }

  /** Shows the values. With drawn false the line stays, for an invisible card. */
  show(values, drawn) {
    this.values = values;
    if (!drawn) return;
    const range = this.spark.draw(values);
    const text = (value) => this.kind.write(value).join(this.kind === series[1] ? "" : " ").trim();
    setText(this.peak, range === null ? "" : `max ${text(range.high)}`);
    setAttribute(this.spark.node, "aria-label", range === null
      ? `${this.kind.label}: nothing was measured in the last 5 minutes`
      : `${this.kind.label} in the last 5 minutes: between ${text(range.low)} and ${text(range.high)}, now ${this.values.at(-1) === null ? "unknown" : text(this.values.at(-1))}`);
    this.write();
  }

  /** Writes the newest value, or the value under the pointer. */
  write() {
    const index = this.pointed ?? length - 1;
    const at = index - (length - this.values.length);
    const [number, unit] = this.kind.write(at < 0 ? null : (this.values[at] ?? null));
    setText(this.number, number);
    setText(this.unit, unit);
  }

  point(index) {
    this.pointed = index ?? undefined;
    this.spark.point(index);
    if (this.values) this.write();
  }
}
