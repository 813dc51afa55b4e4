// A module as a row of the table.

import { Sparkline, series } from "./chart.js";
import { element, levelNames, setAttribute, setText, Sign } from "./dom.js";
import { span } from "./format.js";

export class Row {
  constructor(id) {
    this.id = id;
    this.sign = new Sign();
    this.level = element("span", { class: "word" });
    this.name = element("span", { class: "id" });
    this.kind = element("span", { class: "kind" });
    this.reason = element("span", { class: "reason" });
    this.peer = element("td", { class: "peer" });
    this.since = element("td", { class: "since" });
    this.cells = series.map((kind, index) => {
      const text = element("span", { class: "figure" });
      const spark = index < 2 ? new Sparkline(kind) : null;
      return { kind, text, spark, node: element("td", { class: "number" }, ...(spark ? [spark.node] : []), text) };
    });
    this.node = element("tr", {},
      element("td", {}, element("span", { class: "badge" }, this.sign.node, this.level)),
      element("th", { scope: "row" }, this.name, this.kind, this.reason),
      this.peer, ...this.cells.map((cell) => cell.node), this.since);
    this.visible = true;
  }

  show(board, now) {
    this.board = board;
    setAttribute(this.node, "data-level", board.level);
    this.sign.show(board.level);
    setText(this.level, levelNames[board.level] ?? board.level);
    setText(this.name, board.module_id);
    setText(this.kind, board.module);
    setText(this.reason, board.reasons?.[0] ?? "");
    this.reason.hidden = !board.reasons?.length;
    setText(this.peer, board.peer);
    for (const cell of this.cells) setText(cell.text, cell.kind.write(board.now[cell.kind.key]).join(" ").trim());
    this.age(now);
    this.draw();
  }

  age(now) {
    setText(this.since, span(now - Date.parse(this.board.since)));
  }

  draw() {
    if (!this.visible) return;
    for (const cell of this.cells) cell.spark?.draw(this.board.history[cell.kind.key]);
  }

  sight(visible) {
    if (visible === this.visible) return;
    this.visible = visible;
    if (visible && this.board) this.draw();
  }
}
