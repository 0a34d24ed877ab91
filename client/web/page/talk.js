// The talk: entries in the order of the room, day rules, the line between old and new, words that wait.

import { app, ask, does, ui } from "./app.js";
import { bdi, button, el } from "./dom.js";

/** @type {any} */
let parts;
/** Pixels from the end within which new words are followed. */
const NEAR_END = 80;

/** Makes the empty talk. */
export function talk() {
  const list = el("div", { class: "entries" });
  const waits = el("div", { class: "waits" });
  const more = button("Earlier messages", () => ask("Earlier"), { class: "quiet", hidden: true });
  const below = button("New messages below", () => ui.toEnd(), { class: "below", hidden: true });
  const log = el("div", { role: "log", "aria-labelledby": "talk", tabindex: "0", class: "log", "aria-live": "off", onscroll: scrolled }, more, list, waits);
  parts = { log, list, waits, more, below, follows: true };
  // What grows around the talk does not hide its end.
  new ResizeObserver(() => parts.follows && ui.toEnd()).observe(log);
  return el("section", { class: "talk", "aria-labelledby": "talk" }, el("h2", { id: "talk", class: "unseen" }, "Talk"), log, below);
}

const atEnd = () => parts.log.scrollHeight - parts.log.scrollTop - parts.log.clientHeight < NEAR_END;

ui.toEnd = () => {
  parts.log.scrollTop = parts.log.scrollHeight;
  scrolled();
};

function scrolled() {
  parts.follows = atEnd();
  if (!atEnd()) return;
  parts.below.hidden = true;
  seen();
}

/** Tells that all is seen, if the page is looked at and its end is shown. */
export function seen() {
  const last = Math.max(0, ...app.items.keys());
  if (last <= app.seen || document.visibilityState !== "visible" || !atEnd()) return;
  app.seen = last;
  ask({ Seen: last });
}

/** Takes entries: new ones, or others in their place. @param {any[]} items */
export function take(items) {
  const first = app.items.size === 0;
  const follows = first || atEnd();
  const fresh = items.filter((item) => !app.items.has(item.place));
  for (const item of items) {
    const known = app.items.get(item.place);
    app.items.set(item.place, item);
    if (known && JSON.stringify(known) === JSON.stringify(item)) continue;
    place(item);
  }
  days();
  if (first) {
    parts.more.hidden = app.begins;
    // What is there already is read by going to it; only arrivals are spoken.
    setTimeout(() => parts.log.setAttribute("aria-live", "polite"), 500);
  }
  if (follows) ui.toEnd();
  else if (fresh.length) parts.below.hidden = false;
}

/** Takes earlier entries; none if there are no more. @param {any[]} items */
export function earlier(items) {
  app.begins = items.length === 0;
  parts.more.hidden = app.begins;
  const { scrollHeight, scrollTop } = parts.log;
  parts.log.setAttribute("aria-live", "off");
  for (const item of items) {
    app.items.set(item.place, item);
    place(item);
  }
  days();
  parts.log.scrollTop = scrollTop + parts.log.scrollHeight - scrollHeight;
  setTimeout(() => parts.log.setAttribute("aria-live", "polite"), 500);
}

/** Takes entries away. @param {number[]} places */
export function gone(places) {
  for (const at of places) {
    app.items.delete(at);
    entry(at)?.remove();
  }
  days();
}

/** Begins again. */
export function empty() {
  app.items.clear();
  app.open.clear();
  [app.begins, app.seen] = [false, 0];
  parts.list.replaceChildren();
  parts.waits.replaceChildren();
  parts.more.hidden = true;
  parts.below.hidden = true;
  parts.log.setAttribute("aria-live", "off");
}

/** @param {number} at @returns {HTMLElement|null} */
const entry = (at) => parts.list.querySelector(`[data-at="${at}"]`);

/** Puts an entry where it belongs. @param {any} item */
function place(item) {
  const made = drawn(item);
  const old = entry(item.place);
  if (old) {
    const focused = old.contains(document.activeElement);
    old.replaceWith(made);
    if (focused) made.querySelector("button")?.focus();
    return;
  }
  let before = parts.list.lastElementChild;
  while (before && Number(before.getAttribute("data-at") ?? Infinity) > item.place) before = before.previousElementSibling;
  if (before) before.after(made);
  else parts.list.prepend(made);
}

ui.redraw = (/** @type {any} */ item) => {
  place(item);
  entry(item.place)?.querySelector("button")?.focus();
};

ui.jump = (/** @type {number} */ at) => {
  const found = entry(at);
  if (!found) return ui.remark("That message is further back. “Earlier messages” brings it.");
  found.tabIndex = -1;
  found.focus();
  found.scrollIntoView({ block: "center" });
};

/** Rules between days, and before what is new. */
function days() {
  parts.list.querySelectorAll(".rule").forEach((/** @type {Element} */ rule) => rule.remove());
  let day = "";
  let drawn = app.scene?.new_after === null || app.scene?.new_after === undefined;
  for (const made of [...parts.list.children]) {
    const item = app.items.get(Number(made.getAttribute("data-at")));
    if (!item) continue;
    if (item.day !== day) {
      day = item.day;
      made.before(el("h3", { class: "rule" }, day));
    }
    if (!drawn && item.place > app.scene.new_after) {
      drawn = true;
      made.before(el("p", { class: "rule new" }, "new since you read last"));
    }
  }
}
export { days };

/** @param {any} item */
function drawn(item) {
  const covered = item.note !== null && !app.open.has(item.place);
  const said = item.kind === "Said";
  const about = said ? `${item.mine ? "your message" : `${item.name}’s message`} of ${item.time}` : item.time;
  const menu =
    item.actions.length > 0 &&
    button("…", () => ui.choose(item.mine ? "Your message" : item.name || item.time, [], item.actions.map((/** @type {any} */ action) => ({ ...action, does: action.does }))), { class: "more", "aria-label": `What you can do with ${about}`, "aria-haspopup": "dialog" });
  const words = covered
    ? el("p", {}, bdi(`content note: ${item.note} `), button("read it", () => does("Uncover", { item })))
    : el("p", { class: "words" }, item.note ? bdi(`content note: ${item.note}\n`) : null, bdi(item.text));
  const who = said && el("p", { class: "who" }, el("b", {}, bdi(item.name)), bdi(item.head), " ", el("time", {}, item.time));
  const time = !said && el("time", {}, `${item.time} `);
  return el(
    "article",
    { class: `${item.kind.toLowerCase()}${item.mine ? " mine" : ""}`, "data-at": item.place },
    el("div", {}, item.kind === "Alarm" ? el("b", {}, "! Not verified. ") : null, who, time, words, item.after ? el("p", { class: "after" }, bdi(item.after)) : null),
    menu,
  );
}

/** Shows what waits to be sent. @param {any[]} waiting */
export function waits(waiting) {
  const follows = atEnd();
  const one = (/** @type {any} */ wait) => el("p", { class: "wait words" }, el("span", { "aria-hidden": "true" }, "⧖ "), wait.held ? bdi(`kept here, ${wait.held}: `) : "waiting to be sent: ", bdi(wait.text));
  parts.waits.replaceChildren(...waiting.map(one));
  if (follows) ui.toEnd();
}
