// The status page: shows the events of the server.

import { Announcer } from "./announce.js";
import { Card } from "./card.js";
import { length, series } from "./chart.js";
import { Choice, matches } from "./choice.js";
import { chooseTheme } from "./colours.js";
import { arrange, element, levelNames, levels, setAttribute, setText, Sign } from "./dom.js";
import { Evses } from "./evses.js";
import { clock, plural, span } from "./format.js";
import { Row } from "./row.js";
import { Stream } from "./stream.js";

const $ = (id) => document.getElementById(id);
const maxEvents = 200; // in the list
const reorderPause = 10000; // ms between two orders by a number

const station = { name: "Station", time: null, boards: new Map(), problem: "", lost: false };
const cards = new Map();
const rows = new Map();
let number = 0;
let arranged = 0;

const announcer = new Announcer($("announcer"));
const choice = new Choice($("tools"), () => arrangeModules(true));
const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.target.shownBy.sight(entry.isIntersecting);
}, { rootMargin: "200px" });

const evses = new Evses({ section: $("evse-section"), tally: $("tally"), tables: $("evse-tables"), alarms: $("alarms"), more: $("more") });

chooseTheme($("theme"));

new Stream({
  station(event) {
    station.name = event.name || "Station";
    station.boards.clear();
    for (const board of event.boards) station.boards.set(board.id, board);
    $("log").replaceChildren();
    listEvents(event.events);
    take(event);
  },
  tick(event) {
    const seen = new Set();
    for (const board of event.boards) {
      seen.add(board.id);
      const history = station.boards.get(board.id)?.history ?? Object.fromEntries(series.map(({ key }) => [key, []]));
      for (const { key } of series) {
        history[key].push(board.now[key]);
        if (history[key].length > length) history[key].shift();
      }
      station.boards.set(board.id, { ...board, history });
    }
    for (const id of station.boards.keys()) if (!seen.has(id)) station.boards.delete(id);
    listEvents(event.events);
    announcer.changed(event.changes);
    take(event);
  },
  lost(isLost, why) {
    showLost(isLost, why);
  },
});

function take(event) {
  station.time = new Date(event.time);
  station.heard = Date.now();
  station.problem = event.problem;
  choice.suggest(station.boards.size);
  forgetModules();
  for (const board of station.boards.values()) {
    if (!cards.has(board.id)) addModule(board.id);
    (choice.view === "table" ? rows : cards).get(board.id).show(board, station.time.getTime());
  }
  evses.show([...station.boards.values()], station.time.getTime());
  showVerdict();
  arrangeModules(false);
}

function addModule(id) {
  number += 1;
  for (const [known, made] of [[cards, new Card(id, number)], [rows, new Row(id)]]) {
    known.set(id, made);
    made.node.shownBy = made;
    sight.observe(made.node);
  }
}

function forgetModules() {
  for (const known of [cards, rows]) {
    for (const [id, made] of known) {
      if (station.boards.has(id)) continue;
      sight.unobserve(made.node);
      made.node.remove();
      known.delete(id);
    }
  }
}

/** Shows the chosen modules in their order. An order by numbers waits, so that people can read the page. */
function arrangeModules(asked) {
  if (!station.time) return;
  const table = choice.view === "table";
  $("cards").hidden = table;
  $("table-region").hidden = !table;
  setText($("range"), table ? "Lines show the last 5 minutes." : "Charts show the last 5 minutes.");
  if (asked) {
    for (const board of station.boards.values()) (table ? rows : cards).get(board.id).show(board, station.time.getTime());
  }
  const now = performance.now();
  const shown = choice.apply([...station.boards.values()]);
  if (asked || !choice.restless || now - arranged > reorderPause || shown.length !== (table ? $("rows") : $("cards")).children.length) {
    arranged = now;
    if (table) arrange($("rows"), shown.map((board) => rows.get(board.id).node));
    else arrange($("cards"), shown.map((board) => cards.get(board.id).node));
  }
  const empty = $("empty");
  empty.hidden = shown.length > 0;
  setText(empty, station.boards.size > 0
    ? "No module is like this. Choose All and empty Find to see every module."
    : "No module has a status socket here yet. A module makes one when its configuration has control_socket, or when systemd gives it a runtime directory; it appears here by itself.");
  if (asked) announcer.say(`${plural(shown.length, "module", "modules")} shown.`);
}

function showVerdict() {
  const counts = Object.fromEntries(levels.map((level) => [level, 0]));
  const boards = [...station.boards.values()];
  const withEvse = boards.filter((board) => board.evse);
  const judged = withEvse.length > 0 ? withEvse : boards;
  for (const board of judged) counts[board.level] += 1;
  const { verdict, of } = inWords(boards);
  setText($("verdict-text"), verdict);
  setText($("verdict-of"), of);
  setText($("name"), station.name);
  const worst = [...levels].reverse().find((level) => boards.some((board) => board.level === level)) ?? "working";
  setAttribute($("verdict-text"), "data-level", worst);
  showShares(counts, judged.length, withEvse.length > 0 ? ["EVSE", "EVSEs"] : ["module", "modules"]);
  for (const node of document.querySelectorAll("[data-count]")) {
    setText(node, String([...station.boards.values()].filter((board) => matches(board, node.dataset.count)).length));
  }
  $("problem").hidden = station.problem === "";
  setText($("problem"), station.problem);
  station.verdict = verdict;
  station.worst = worst;
  showTitle();
}

/** The verdict: of the EVSEs where there are some, then of the modules. */
function inWords(boards) {
  const evses = boards.filter((board) => board.evse);
  const others = boards.filter((board) => !board.evse);
  const count = (of, level) => of.filter((board) => board.level === level).length;
  const parts = (of) => [["down", "down"], ["trouble", "in trouble"], ["notice", "to look at"]]
    .map(([level, words]) => [count(of, level), words]).filter(([number]) => number > 0).map(([number, words]) => `${number} ${words}`);
  if (boards.length === 0) return { verdict: "No modules yet", of: "" };
  if (evses.length === 0) {
    const bad = parts(boards);
    if (bad.length === 0) return { verdict: boards.length === 1 ? "The module works" : `All ${boards.length} modules work`, of: "" };
    return { verdict: bad.join(", "), of: `of ${plural(boards.length, "module", "modules")}` };
  }
  const bad = parts(evses);
  const rest = parts(others).length === 0 ? "" : `; other modules: ${parts(others).join(", ")}`;
  if (bad.length > 0) return { verdict: bad.join(", "), of: `of ${plural(evses.length, "EVSE", "EVSEs")}${rest}` };
  return { verdict: evses.length === 1 ? "The EVSE is in service" : `All ${evses.length} EVSEs are in service`, of: rest.slice(2) };
}

function showShares(counts, all, nouns) {
  const shares = $("shares");
  const present = [...levels].reverse().filter((level) => counts[level] > 0);
  setAttribute(shares, "aria-label", all === 0 ? "No modules" : `Of ${plural(all, ...nouns)}: ${present.map((level) => `${counts[level]} ${levelNames[level].toLowerCase()}`).join(", ")}`);
  const key = present.map((level) => `${level}${counts[level]}`).join();
  if (shares.dataset.key === key) return;
  shares.dataset.key = key;
  // With one segment for each, up to 64, a single one stays visible.
  const segments = present.flatMap((level) => Array.from({ length: counts[level] }, () => element("span", { "data-level": level })));
  shares.replaceChildren(...segments);
}

function showTitle() {
  document.title = station.lost ? `Not live · ${station.name}` : `${station.verdict} · ${station.name}`;
  const icon = station.lost || ["down", "trouble"].includes(station.worst) ? "icon-trouble.svg" : "icon.svg";
  setAttribute($("icon"), "href", icon);
}

/** Lists events, of which the newest is the last. */
function listEvents(events) {
  const list = $("log");
  for (const event of events) {
    const sign = new Sign();
    sign.show(event.level);
    const of = event.evse && event.evse !== event.module_id ? `EVSE ${event.evse}, ${event.module_id}` : event.module_id;
    list.prepend(element("li", { "data-level": event.level, "data-kind": event.kind }, sign.node,
      element("p", { class: "of" }, element("time", { datetime: event.time }, clock(new Date(event.time))), " ", element("b", {}, of)),
      element("p", { class: "text" }, element("span", { class: "hidden" }, `${levelNames[event.level] ?? event.level}: `), event.text)));
  }
  while (list.children.length > maxEvents) list.lastChild.remove();
  $("quiet").hidden = list.children.length > 0;
}

let banner = null;

function showLost(isLost, why) {
  const before = station.lost;
  station.lost = isLost;
  setAttribute($("live"), "data-live", isLost ? "lost" : "live");
  document.body.classList.toggle("is-lost", isLost);
  const last = station.time;
  if (!isLost) {
    setText($("live-text"), last ? `Live ${clock(last)}` : "Connecting");
    if (banner) {
      $("lost").replaceChildren();
      banner = null;
      announcer.say("The connection is back. The page is live again.");
    }
    if (before) showTitle();
    return;
  }
  setText($("live-text"), "Not live");
  if (!banner) {
    // The sentence is announced once. The growing seconds are only shown.
    banner = { age: element("span", { "aria-hidden": "true" }), why: element("span") };
    const since = last ? `The page lost its server. What you see is from ${clock(last)} and may be wrong now.` : "The page cannot reach its server, and has no data yet.";
    $("lost").replaceChildren(element("p", {}, element("strong", {}, since), " ", banner.age, " ", banner.why));
    showTitle();
  }
  setText(banner.age, last ? `Last data ${span(Date.now() - station.heard)} ago, trying again.` : "Trying again.");
  setText(banner.why, why);
}
