// Announces changes of levels to a screen reader, never numbers, and not faster
// than people can listen.

import { levelNames } from "./dom.js";
import { plural } from "./format.js";

const pause = 3000;

export class Announcer {
  constructor(node) {
    this.node = node;
    this.waiting = new Map();
  }

  /** Announces the newest level of each module. The list of changes has the levels between. */
  changed(changes) {
    for (const change of changes) this.waiting.set(change.module_id, change);
    if (changes.length > 0 && !this.timer) this.timer = setTimeout(() => this.tell(), 200);
  }

  say(text) {
    this.node.textContent = text;
  }

  tell() {
    const changes = [...this.waiting.values()];
    this.waiting.clear();
    this.timer = null;
    if (changes.length === 0) return;
    if (changes.length <= 3) {
      this.say(changes.map((change) => `${change.module_id}: ${levelNames[change.to]}. ${change.reason}`).join(" "));
    } else {
      const counts = Map.groupBy(changes, (change) => change.to);
      this.say(`${plural(changes.length, "module", "modules")} changed: ${[...counts].map(([level, of]) => `${of.length} ${levelNames[level].toLowerCase()}`).join(", ")}.`);
    }
    this.timer = setTimeout(() => this.tell(), pause);
  }
}
