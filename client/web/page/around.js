// What is around the talk: rooms, what holds now, what waits for this person.

import { app, does, ui } from "./app.js";
import { bdi, button, el } from "./dom.js";
import * as time from "./time.js";

/** @type {any} */
let parts;

/** Makes the empty frame; returns its parts. */
export function frame() {
  const places = el("ul", {});
  const bands = el("div", { class: "bands" });
  const todo = el("ul", { class: "todo" });
  const title = el("h1", {});
  const status = el("p", { class: "hint" });
  const forYou = el("aside", { "aria-labelledby": "foryou", hidden: true }, el("h2", { id: "foryou", tabindex: "-1" }, "For you"), todo);
  const toYou = button("For you", () => to(forYou), { hidden: true });
  const rooms = el("nav", { "aria-labelledby": "rooms" }, el("h2", { id: "rooms", tabindex: "-1" }, "Rooms"), places, button("Join another room", () => ui.join(), { class: "quiet" }));
  parts = { places, bands, todo, title, status, forYou, toYou, rooms };
  const now = el("section", { "aria-labelledby": "now" }, el("h2", { id: "now", class: "unseen" }, "What holds now"), bands);
  return { ...parts, now };
}

/** Goes to a part of the page. @param {HTMLElement} part */
function to(part) {
  part.scrollIntoView();
  part.querySelector("h2")?.focus();
}
ui.rooms = () => to(parts.rooms);

/** Lists rooms and lanes. */
export function places() {
  const one = (/** @type {any} */ place) => {
    const label = [bdi(place.title), place.note && el("span", { class: "hint" }, ` ${place.note}`), place.unread ? el("b", {}, ` ${place.unread} new`) : null];
    const here = place.id === app.here ? { "aria-current": "page" } : {};
    return el("li", { class: place.lane ? "lane" : "" }, button(label, () => ui.go(place.id), here));
  };
  keep(parts.places, () => parts.places.replaceChildren(...app.places.map(one)));
}

/** Shows the scene. */
export function around() {
  const { scene } = app;
  if (!scene) return;
  set(parts.title, scene.title);
  set(parts.status, [scene.me && `you are ${scene.me}`, scene.status].filter(Boolean).join(" · "));
  const shown = scene.bands.filter((/** @type {any} */ band) => !app.dismissed.has(band.key) && !(band.until && band.until <= time.now()));
  keep(parts.bands, () => parts.bands.replaceChildren(...shown.map(band)));
  time.announce(shown, ui.say);
  parts.toYou.hidden = parts.forYou.hidden = scene.for_you.length === 0;
  set(parts.toYou, `For you: ${scene.for_you.length}`);
  keep(parts.todo, () => parts.todo.replaceChildren(...scene.for_you.map(todo)));
}
ui.around = around;

/** @param {HTMLElement} of @param {string} text */
function set(of, text) {
  if (of.textContent !== text) of.replaceChildren(bdi(text));
}

/** Draws a list again without taking the focus from the control that has it. @param {HTMLElement} of @param {() => void} draw */
function keep(of, draw) {
  const at = document.activeElement;
  const name = at && of.contains(at) ? at.textContent : null;
  draw();
  if (name === null) return;
  const same = [...of.querySelectorAll("button")].find((button) => button.textContent === name);
  if (same) same.focus({ preventScroll: true });
  else ui.line().focus({ preventScroll: true });
}

/** @param {any} band */
function band(band) {
  const text = el("p", {}, el("span", { "aria-hidden": "true" }, `${band.sign} `));
  const words = el("bdi", {});
  time.counted(band.text, band.until, words);
  text.append(words);
  const actions = band.actions.map((/** @type {any} */ action) => button(action.label, () => does(action.does, { band: band.key })));
  const name = band.text.split(/[,.{:]/)[0];
  return el("section", { class: band.strong ? "band strong" : "band", "aria-label": name }, text, ...band.lines.map((/** @type {string} */ line) => el("p", {}, bdi(line))), actions.length ? el("p", { class: "row" }, ...actions) : null);
}

/** @param {any} of */
function todo({ what, text, urgent, does: todo }) {
  const label = [el("b", {}, urgent ? `! ${what}` : what), " ", bdi(text)];
  return el("li", { class: urgent ? "strong" : "" }, todo ? button(label, () => does(todo)) : el("span", {}, ...label));
}
