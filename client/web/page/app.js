// What the page knows, and what a press does. Nothing of it survives hiding.

import { act } from "./wire.js";

/** @typedef {{key: string, label: string, does: any}} Action */

/** The state. `clear` empties it. */
export const app = {
  /** @type {any[]} */ places: [],
  /** @type {number|null} */ here: null,
  /** @type {any} */ scene: null,
  /** @type {Map<number, any>} */ items: new Map(),
  begins: false,
  /** Bands that were put away. @type {Set<string>} */ dismissed: new Set(),
  /** Covered words that were opened. @type {Set<number>} */ open: new Set(),
  /** What the line is for: the room, a command, or questions. @type {null|{label: string, command: string}|{fill: string}} */ mode: null,
  /** Words for the room while the line is for something else. @type {string|null} */ aside: null,
  /** The newest message that was told as seen. */ seen: 0,
};

export function clear() {
  Object.assign(app, { places: [], here: null, scene: null, items: new Map(), begins: false, mode: null, aside: null, seen: 0 });
  app.dismissed.clear();
  app.open.clear();
}

/** Things that other modules do; set once by page.js. @type {Record<string, any>} */
export const ui = {};

/**
 * Asks the process for something. What was typed comes back if it could not be asked.
 * @param {any} what
 * @param {string} [typed]
 */
export async function ask(what, typed = "") {
  if (await act(what)) return true;
  if (typed) ui.giveBack(typed);
  ui.remark("Nothing was done: the program on this computer did not take it. Try again.");
  return false;
}

/** @param {string} line */
export const run = (line) => ask({ Run: line }, line.trim().split(/\s+/).length > 3 ? `/${line}` : "");

/**
 * Does what an action says.
 * @param {any} does
 * @param {{band?: string, item?: any}} [of]
 */
export function does(does, of = {}) {
  const [kind, value] = typeof does === "string" ? [does, null] : Object.entries(does)[0];
  switch (kind) {
    case "Run":
      return run(value);
    case "Compose":
      return ui.compose(value);
    case "Form":
      return ui.form(value[0], value[1]);
    case "Copy":
      return copy(value);
    case "Uncover":
      app.open.add(of.item.place);
      return ui.redraw(of.item);
    case "Jump":
      return ui.jump(value);
    case "Go":
      return ui.go(value);
    case "Sign":
      return ask("ShowAgreement");
    case "Mood":
      return ui.mood(value.lines);
    case "Help":
      return ui.help();
    case "Choose":
      return ui.choose(value.title, value.lines, value.choices);
    case "Again":
      ui.giveBack(value.text);
      return run(value.line);
    case "Dismiss":
      if (of.band) app.dismissed.add(of.band);
      return ui.around();
  }
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    ui.remark("Copied. Other programs can read the clipboard.");
  } catch {
    ui.remark("The browser did not copy it. Mark the words and copy them by hand.");
  }
}

/** Does what a command is done with here. @param {any} entry */
export function choose(entry) {
  switch (entry.native) {
    case "Help":
      return ui.help();
    case "Mood":
      return ui.mood([]);
    case "Rooms":
      return ui.rooms();
    case "Sign":
      return ask("ShowAgreement");
    case "Hide":
      return ui.hide();
    case "Keys":
      return ui.keys();
    case "Quit":
      return ui.quit();
  }
  if (entry.fields.some((/** @type {any} */ field) => !field.flag || !field.optional)) return ui.form(entry.name, []);
  return run(entry.name);
}
