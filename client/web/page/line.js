// The line that is typed.

import { app, ask, run, ui } from "./app.js";
import { QUIET, bdi, button, el, lines } from "./dom.js";

/** Characters of a text that is taken from the clipboard. */
const PASTE_MAX = 100_000;
/** Milliseconds after the last key in which an unfinished text is kept by the process. */
const KEEP_AFTER = 2_000;

/** @type {any} */
let parts;
/** @type {any} */
let keeping;

/** Makes the line. */
export function line() {
  const label = el("label", { for: "line" });
  const input = el("textarea", { ...QUIET, id: "line", rows: "2", "aria-describedby": "count", oninput: typed, onkeydown: pressed, onpaste: pasted });
  const count = el("p", { id: "count", class: "hint" });
  const asked = el("div", { class: "asked", hidden: true });
  const back = button("Stop", stepBack, { hidden: true });
  const form = el(
    "form",
    { class: "line", autocomplete: "off", onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), send()) },
    asked,
    label,
    input,
    el("p", { class: "row" }, el("button", { type: "submit", class: "main" }, "Send"), back, button("Commands", () => ui.palette(), { "aria-haspopup": "dialog" }), count),
  );
  parts = { label, input, count, asked, back, form };
  return form;
}

ui.line = () => parts.input;
export const draft = () => (app.mode ? (app.aside ?? "") : (parts?.input.value ?? ""));

/** Shows whom it goes to. */
export function prompt() {
  const { mode, scene } = app;
  let label = scene?.prompt === ">" || !scene ? "To everybody in the room" : scene.prompt.replace(/ ?>$/, "");
  if (mode && "label" in mode) label = mode.label;
  if (mode && "fill" in mode) label = "Your answer";
  parts.label.replaceChildren(bdi(label));
  parts.label.className = scene?.prompt === ">" && !mode ? "" : "aside";
  parts.back.hidden = !mode;
  parts.asked.hidden = !(mode && "fill" in mode);
  parts.asked.replaceChildren(...(mode && "fill" in mode ? lines(mode.fill) : []));
}

function typed() {
  const limit = app.scene?.limit ?? 0;
  const length = [...parts.input.value].length;
  parts.count.textContent = limit && length ? `${length} of ${limit}` : "";
  clearTimeout(keeping);
  if (!app.mode) keeping = setTimeout(() => ask({ Keep: draft() }), KEEP_AFTER);
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.isComposing || event.keyCode === 229) return;
  const touch = matchMedia("(pointer: coarse)").matches;
  if (event.key === "Enter" && !event.shiftKey && !event.altKey && !touch) {
    event.preventDefault();
    send();
  } else if (event.key === "/" && !parts.input.value && !app.mode) {
    event.preventDefault();
    ui.palette();
  } else if (event.key === "Escape" && app.mode) {
    stepBack();
  }
}

/** A paste never sends; one that no message can hold stays where it was copied from. @param {ClipboardEvent} event */
function pasted(event) {
  if ((event.clipboardData?.getData("text") ?? "").length <= PASTE_MAX) return;
  event.preventDefault();
  ui.remark("That text is too long for a message. Nothing was pasted.");
}

function send() {
  const text = parts.input.value;
  const { mode } = app;
  clearTimeout(keeping);
  if (!text.trim()) {
    if (mode && "fill" in mode) ask({ Fill: "" });
    return;
  }
  parts.input.value = "";
  typed();
  clearTimeout(keeping);
  parts.input.focus();
  if (mode && "fill" in mode) return ask({ Fill: text }, text);
  if (mode) {
    sayAgain();
    return ask({ Run: `${mode.command} ${text.trim()}` }, text);
  }
  ui.toEnd();
  const command = /^\s*\/(?!\/)(.*)$/s.exec(text);
  return command ? ui.typed(command[1].trim()) : ask({ Say: text }, text);
}

/** Runs a typed command line, or does what the page does by itself. @param {string} line */
ui.typed = (line) => {
  const entry = app.scene?.entries.find((/** @type {any} */ entry) => entry.name === line.toLowerCase());
  if (entry?.native) return ui.choose_entry(entry);
  if (!line || line === "?") return ui.palette();
  return run(line);
};

ui.compose = (/** @type {any} */ { label, command, text }) => {
  aside({ label, command });
  parts.input.value = text;
  parts.input.focus();
};

/** Begins or goes on with questions. @param {string} words */
export function fills(words) {
  aside({ fill: words });
  ui.say(words);
}

/** @param {any} mode */
function aside(mode) {
  if (app.aside === null) app.aside = parts.input.value;
  parts.input.value = "";
  app.mode = mode;
  prompt();
}

/** Gives the line back to the room. */
export function sayAgain() {
  parts.input.value = app.aside ?? "";
  [app.mode, app.aside] = [null, null];
  prompt();
}

function stepBack() {
  if (app.mode && "fill" in app.mode) return ask({ Fill: "stop" });
  sayAgain();
  parts.input.focus();
}

/** A text comes back to who wrote it; it takes the place of nothing. @param {string} text */
ui.giveBack = (text) => {
  if (app.mode && app.aside !== null) {
    app.aside = [app.aside, text].filter(Boolean).join("\n");
    return;
  }
  const now = parts.input.value;
  if (now !== text) parts.input.value = [text, now].filter(Boolean).join("\n");
  typed();
};

/** Another place is shown. */
export function went() {
  clearTimeout(keeping);
  parts.input.value = "";
  [app.mode, app.aside] = [null, null];
  typed();
  clearTimeout(keeping);
}
