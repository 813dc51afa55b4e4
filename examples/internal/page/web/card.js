// A module as a card.

import { Chart, length, series } from "./chart.js";
import { element, levelNames, setAttribute, setText, Sign } from "./dom.js";
import { clock, span } from "./format.js";

const slice = 30; // samples in a row of the table of numbers

export class Card {
  constructor(id, number) {
    this.id = id;
    const heading = `module-${number}`;
    this.sign = new Sign();
    this.name = element("h3", { id: heading });
    this.kind = element("p", { class: "kind" });
    this.level = element("span", { class: "word" });
    this.since = element("span", { class: "since" });
    this.reasons = element("ul", { class: "reasons" });
    this.charts = series.map((kind) => new Chart(kind));
    this.plots = element("div", { class: "charts" }, ...this.charts.map((chart) => chart.node));
    this.time = element("p", { class: "pointed", "aria-hidden": "true" });
    this.facts = element("dl", { class: "facts" });
    this.numbers = element("tbody");
    this.numbersTable = element("div", { class: "scroll", role: "region", "aria-labelledby": `${heading}-numbers ${heading}`, tabindex: "0" },
      element("table", { class: "numbers" },
        element("caption", { id: `${heading}-numbers` }, "Highest value in each 30 seconds"),
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "From"),
          ...series.map((kind) => element("th", { scope: "col", class: "number" }, kind.label)))),
        this.numbers));
    this.of = element("span", { class: "hidden" });
    this.details = element("details", {},
      element("summary", {}, "Details and numbers", this.of),
      this.facts, this.numbersTable);
    this.article = element("article", { "aria-labelledby": heading },
      element("header", {}, this.name,
        element("p", { class: "badge" }, this.sign.node, this.level, this.since), this.kind),
      this.reasons, this.plots, this.time, this.details);
    this.node = element("li", {}, this.article);
    this.details.addEventListener("toggle", () => this.fillDetails(true));
    this.plots.addEventListener("pointermove", (event) => this.point(event));
    this.plots.addEventListener("pointerleave", () => this.point(null));
    this.visible = true;
  }

  show(board, now) {
    this.board = board;
    this.now = now;
    setText(this.name, board.module_id);
    setText(this.of, ` of ${board.module_id}`);
    setText(this.kind, [board.module, board.peer].filter(Boolean).join(" · "));
    setAttribute(this.article, "data-level", board.level);
    this.sign.show(board.level);
    setText(this.level, levelNames[board.level] ?? board.level);
    this.age(now);
    this.showReasons(board.reasons ?? []);
    this.showCharts();
    this.fillDetails(false);
  }

  /** How long the level has been the same. */
  age(now) {
    setText(this.since, span(now - Date.parse(this.board.since)));
  }

  showReasons(reasons) {
    while (this.reasons.children.length > reasons.length) this.reasons.lastChild.remove();
    reasons.forEach((reason, index) => {
      if (!this.reasons.children[index]) this.reasons.append(element("li"));
      setText(this.reasons.children[index], reason);
    });
    this.reasons.hidden = reasons.length === 0;
  }

  showCharts() {
    const measures = this.board.measures ?? [];
    for (const chart of this.charts) {
      chart.node.hidden = !measures.includes(chart.kind.key);
      chart.show(this.board.history[chart.kind.key], this.visible);
    }
    this.plots.hidden = measures.length === 0;
  }

  /** Called when the card becomes visible or invisible. Invisible cards are not drawn. */
  sight(visible) {
    if (visible === this.visible) return;
    this.visible = visible;
    if (visible && this.board) this.showCharts();
  }

  point(event) {
    let index = null;
    if (event) {
      const plot = event.target.closest?.(".plot");
      if (plot) {
        const box = plot.getBoundingClientRect();
        index = Math.round(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * (length - 1));
      }
    }
    for (const chart of this.charts) chart.point(index);
    setText(this.time, index === null ? "" : clock(new Date(this.now - (length - 1 - index) * 1000)));
  }

  /** The numbers change every 30 s, so that people can read them. */
  fillDetails(fresh) {
    if (!this.details.open) return;
    const facts = this.board.facts ?? [];
    if (this.facts.children.length !== facts.length * 2) {
      this.facts.replaceChildren(...facts.flatMap(() => [element("dt"), element("dd")]));
    }
    facts.forEach((fact, index) => {
      setText(this.facts.children[index * 2], fact.name);
      setText(this.facts.children[index * 2 + 1], fact.value);
    });
    if (!fresh && this.now - this.filled < slice * 1000) return;
    this.filled = this.now;
    const rows = [];
    const size = this.board.history.queue.length;
    for (let end = size; end > 0; end -= slice) {
      const start = Math.max(0, end - slice);
      rows.push(element("tr", {},
        element("th", { scope: "row" }, clock(new Date(this.now - (size - 1 - start) * 1000))),
        ...series.map((kind) => {
          const values = this.board.history[kind.key].slice(start, end).filter((value) => value !== null);
          return element("td", { class: "number" }, kind.write(values.length ? Math.max(...values) : null).join(" ").trim());
        })));
    }
    this.numbers.replaceChildren(...rows);
  }
}
