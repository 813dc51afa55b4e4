// The EVSEs as tables, those that need somebody first, and above them why.

import { arrange, element, levelNames, levels, setAttribute, setText, Sign } from "./dom.js";
import { plural, span } from "./format.js";

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const tableLength = 32; // rows, from which on there are two tables side by side
const maxAlarms = 4; // the others are with their modules
const columns = ["EVSE", "State", "For", "Session", "Energy", "Power", "Limit", "Token"];
// The order of states in the sum.
const states = ["Faulted", "Unknown", "Unavailable", "Charging", "SuspendedEVSE", "SuspendedEV", "Preparing", "Finishing", "Reserved", "Available"];

/** Boards with those that need somebody first. */
export function worstFirst(boards) {
  const name = (board) => board.evse?.name ?? board.module_id;
  return boards.sort((one, other) => levels.indexOf(other.level) - levels.indexOf(one.level) || collator.compare(name(one), name(other)));
}

/** What an EVSE is called in a sentence. */
export function called(board) {
  return board.evse && board.evse.name !== board.module_id ? `EVSE ${board.evse.name}, ${board.module_id}` : board.module_id;
}

export class Evses {
  constructor({ section, tally, tables, alarms, more }) {
    Object.assign(this, { section, tally, tables, alarms, more });
    this.rows = new Map();
    this.items = new Map();
    this.bodies = [];
  }

  show(boards, now) {
    const shown = worstFirst(boards.filter((board) => board.evse));
    this.section.hidden = shown.length === 0;
    const count = shown.length > tableLength ? 2 : 1;
    if (this.bodies.length !== count) this.makeTables(count);
    keepOnly(this.rows, shown);
    for (const board of shown) {
      if (!this.rows.has(board.id)) this.rows.set(board.id, new EvseRow());
      this.rows.get(board.id).show(board, now);
    }
    const length = Math.ceil(shown.length / count);
    this.bodies.forEach((body, index) => arrange(body, shown.slice(index * length, (index + 1) * length).map((board) => this.rows.get(board.id).node)));
    setText(this.tally, sum(shown));
    this.showAlarms(worstFirst(boards.filter((board) => levels.indexOf(board.level) >= levels.indexOf("trouble"))));
  }

  makeTables(count) {
    this.bodies = Array.from({ length: count }, () => element("tbody"));
    this.tables.replaceChildren(...this.bodies.map((body, index) => element("table", { class: "evse-table" },
      element("caption", { class: "hidden" }, count === 1 ? "EVSEs" : `EVSEs, part ${index + 1} of ${count}`),
      element("thead", {}, element("tr", {}, ...columns.map((name) => element("th", { scope: "col", class: name.toLowerCase() }, name)))),
      body)));
  }

  showAlarms(boards) {
    const shown = boards.slice(0, maxAlarms);
    keepOnly(this.items, shown);
    for (const board of shown) {
      if (!this.items.has(board.id)) this.items.set(board.id, new Alarm());
      this.items.get(board.id).show(board);
    }
    arrange(this.alarms, shown.map((board) => this.items.get(board.id).node));
    this.alarms.hidden = shown.length === 0;
    this.more.hidden = boards.length <= maxAlarms;
    setText(this.more, `${plural(boards.length - maxAlarms, "more is", "more are")} with the modules below.`);
  }
}

function keepOnly(known, boards) {
  const ids = new Set(boards.map((board) => board.id));
  for (const [id, made] of known) {
    if (ids.has(id)) continue;
    made.node.remove();
    known.delete(id);
  }
}

/** How many EVSEs are in which state, and their power. */
function sum(boards) {
  const parts = states.map((state) => [state, boards.filter((board) => board.evse.state === state).length])
    .filter(([, count]) => count > 0).map(([state, count]) => `${count} ${state}`);
  const power = boards.reduce((all, board) => all + (Number.parseFloat(board.evse.power) || 0), 0);
  return [...parts, `${power.toFixed(1)} kW`].join(" · ");
}

class EvseRow {
  constructor() {
    this.sign = new Sign();
    this.level = element("span", { class: "hidden" });
    this.name = element("span");
    this.word = element("span", { class: "state" });
    this.reason = element("span", { class: "reason" });
    this.cells = Object.fromEntries(["for", "session", "energy", "power", "limit", "token"].map((name) => [name, element("td", { class: name })]));
    this.node = element("tr", {},
      element("th", { scope: "row", class: "evse" }, this.sign.node, this.level, this.name),
      element("td", { class: "state-cell" }, this.word, this.reason), ...Object.values(this.cells));
  }

  show(board, now) {
    const { evse } = board;
    setAttribute(this.node, "data-level", board.level);
    setAttribute(this.node, "data-state", evse.state);
    this.sign.show(board.level);
    setText(this.level, `${levelNames[board.level] ?? board.level} `);
    setText(this.name, evse.name);
    setText(this.word, evse.word);
    const reason = board.reasons?.[0] ?? "";
    setText(this.reason, reason);
    setAttribute(this.reason, "title", reason);
    this.reason.hidden = reason === "";
    setText(this.cells.for, span(now - Date.parse(evse.since)));
    for (const name of ["session", "energy", "power", "limit", "token"]) setText(this.cells[name], evse[name] || "–");
  }
}

class Alarm {
  constructor() {
    this.sign = new Sign();
    this.who = element("b");
    this.reasons = element("div");
    this.cause = element("code");
    this.of = element("span", { class: "hidden" });
    this.details = element("details", {}, element("summary", {}, "Cause, for experts", this.of), this.cause);
    this.node = element("li", {}, this.sign.node, element("div", {}, this.who, this.reasons, this.details));
  }

  show(board) {
    setAttribute(this.node, "data-level", board.level);
    this.sign.show(board.level);
    setText(this.of, ` of ${board.module_id}`);
    setText(this.who, `${levelNames[board.level]}: ${called(board)}`);
    const reasons = board.reasons ?? [];
    while (this.reasons.children.length > reasons.length) this.reasons.lastChild.remove();
    reasons.forEach((reason, index) => {
      if (!this.reasons.children[index]) this.reasons.append(element("p"));
      setText(this.reasons.children[index], reason);
    });
    this.details.hidden = !board.cause;
    setText(this.cause, board.cause ?? "");
  }
}
