// Which modules are shown, in which order, and how. The choice is kept in the
// page's address, so that a reload or a link keeps it too.

import { levels } from "./dom.js";

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const manyModules = 24; // from this number on a table is clearer than cards

export class Choice {
  constructor(form, changed) {
    this.form = form;
    this.fields = form.elements;
    const asked = new URLSearchParams(location.search);
    for (const name of ["find", "show", "sort", "view"]) {
      const value = asked.get(name);
      if (value === null) continue;
      this.fields[name].value = value;
      if (name === "view") this.viewChosen = true;
    }
    if (!this.fields.show.value) this.fields.show.value = "all";
    if (!this.fields.sort.value) this.fields.sort.value = "trouble";
    if (!this.fields.view.value) this.fields.view.value = "cards";
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => {
      if (event.target.name === "view") this.viewChosen = true;
      this.keep();
      changed();
    });
  }

  keep() {
    const address = new URL(location.href);
    const standard = { find: "", show: "all", sort: "trouble" };
    for (const name of ["find", "show", "sort", "view"]) {
      const value = this.fields[name].value;
      if (value === standard[name] || (name === "view" && !this.viewChosen)) address.searchParams.delete(name);
      else address.searchParams.set(name, value);
    }
    history.replaceState(null, "", address);
  }

  /** Many modules are shown as a table until the user chooses. */
  suggest(count) {
    if (!this.viewChosen) this.fields.view.value = count > manyModules ? "table" : "cards";
  }

  get view() {
    return this.fields.view.value;
  }

  apply(boards) {
    const find = this.fields.find.value.trim().toLowerCase();
    const show = this.fields.show.value;
    const shown = boards.filter((board) => matches(board, show) && contains(board, find));
    const name = (one, other) => collator.compare(one.module_id, other.module_id) || collator.compare(one.id, other.id);
    const orders = {
      name,
      trouble: (one, other) => levels.indexOf(other.level) - levels.indexOf(one.level) || name(one, other),
      latency: by("latency_s", name), variables: by("variables_per_s", name), queue: by("queue", name), errors: by("errors", name),
    };
    return shown.sort(orders[this.fields.sort.value] ?? orders.trouble);
  }

  /** Whether the order follows numbers that change with every tick. */
  get restless() {
    return !["trouble", "name"].includes(this.fields.sort.value);
  }
}

export function matches(board, show) {
  switch (show) {
    case "attention": return board.level !== "working";
    case "down": return board.level === "down";
    case "working": return board.level === "working";
    default: return true;
  }
}

function contains(board, find) {
  if (find === "") return true;
  return [board.module_id, board.module, board.peer, board.state, ...(board.reasons ?? [])].some((text) => text?.toLowerCase().includes(find));
}

function by(key, otherwise) {
  return (one, other) => (other.now[key] ?? -1) - (one.now[key] ?? -1) || otherwise(one, other);
}
