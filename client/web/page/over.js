// What stands over the room for a moment: choices, the list of commands, forms, questions, texts, the mood, the numbers.

import { app, ask, choose, does, run, ui } from "./app.js";
import { QUIET, bdi, button, el, labelled, lines, put } from "./dom.js";
import { pictures } from "./charts.js";

/** @type {HTMLDialogElement|null} */
let open = null;

export function close() {
  open?.close();
  open = null;
}

/**
 * Opens a dialog in place of the last one. The focus goes to its heading, or to what asks for it, and back at its end.
 * @param {string} title
 * @param {(Node|string|null|undefined|false)[]} children
 * @param {{onclose?: () => void, wide?: boolean, done?: string}} [how]
 */
export function dialog(title, children, how = {}) {
  close();
  const heading = el("h2", { id: "over", tabindex: "-1" }, bdi(title));
  const made = /** @type {HTMLDialogElement} */ (
    el("dialog", { "aria-labelledby": "over", class: how.wide ? "wide" : "" }, el("div", { class: "top" }, heading, button(how.done ?? "Close", () => made.close(), { class: "quiet" })))
  );
  put(made, ...children);
  made.addEventListener("close", () => {
    made.remove();
    if (open === made) open = null;
    how.onclose?.();
  });
  document.body.append(made);
  made.showModal();
  const first = /** @type {HTMLElement|null} */ (made.querySelector("[data-first]"));
  (first ?? heading).focus();
  open = made;
  return made;
}

/** @param {string} title @param {string[]} said @param {any[]} choices */
ui.choose = (title, said, choices) => {
  const rows = choices.map((choice) => el("li", {}, button(choice.label, () => (close(), does(choice.does)))));
  dialog(title, [...said.map((line) => el("p", {}, bdi(line))), el("ul", { class: "choices" }, ...rows)]);
};

/** Lists what one can do here. @param {string} [typed] */
ui.palette = (typed = "") => {
  const list = el("ul", { class: "choices", id: "found" });
  const input = el("input", { ...QUIET, "data-first": true, type: "search", "aria-controls": "found" });
  const found = el("p", { role: "status", class: "hint" });
  const show = () => {
    const word = input.value.trim().toLowerCase();
    const rank = (/** @type {any} */ entry) =>
      entry.name.startsWith(word) ? 0 : entry.name.includes(word) ? 1 : entry.does.toLowerCase().includes(word) ? 2 : 3;
    const fits = app.scene.entries.filter((/** @type {any} */ entry) => rank(entry) < 3);
    fits.sort((/** @type {any} */ a, /** @type {any} */ b) => rank(a) - rank(b));
    list.replaceChildren(...fits.map(row));
    found.textContent = word ? `${fits.length} fit` : "";
  };
  const row = (/** @type {any} */ entry) =>
    el("li", {}, button([el("b", {}, entry.name), " ", bdi(entry.does)], () => (close(), choose(entry))));
  input.addEventListener("input", show);
  input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    const line = input.value.trim();
    if (/\s/.test(line)) return close(), run(line);
    list.querySelector("button")?.click();
  });
  input.value = typed;
  dialog("What you can do here", [labelled("Search, or type a command", input), found, list]);
  show();
};

/** Opens the form of a command. @param {string} name @param {string[]} given */
ui.form = (name, given) => {
  const entry = app.scene?.entries.find((/** @type {any} */ entry) => entry.name === name);
  if (!entry) return ui.remark(`You cannot do that here now: ${name}.`);
  const told = el("p", { role: "alert", class: "fault" });
  const fields = entry.fields.map((/** @type {any} */ field, /** @type {number} */ at) => made(field, given[at] ?? ""));
  const label = (/** @type {any} */ field) => (field.optional ? `${field.name} (may be left out)` : field.name);
  const form = el(
    "form",
    {
      autocomplete: "off",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const values = fields.map((/** @type {any} */ field) => (field.type === "checkbox" ? (field.checked ? "yes" : "") : field.value.trim()));
        const lacks = entry.fields.findIndex((/** @type {any} */ field, /** @type {number} */ at) => !field.optional && !values[at]);
        if (lacks >= 0) {
          told.textContent = `${entry.fields[lacks].name} is missing`;
          return fields[lacks].focus();
        }
        close();
        run(line(entry, values));
      },
    },
    ...entry.fields.map((/** @type {any} */ field, /** @type {number} */ at) => labelled(label(field), fields[at], field.help)),
    told,
    el("button", { type: "submit", class: "main" }, entry.name),
  );
  (fields.find((/** @type {any} */ field) => !field.value) ?? fields[0])?.setAttribute("data-first", "");
  dialog(entry.name, [el("p", {}, bdi(entry.does)), form]);
};

/** @param {any} field @param {string} given */
function made(field, given) {
  if (field.switch) return el("input", { type: "checkbox" });
  const required = field.optional ? {} : { "aria-required": "true" };
  if (field.choices.length && !field.free) {
    const option = (/** @type {string} */ value) => el("option", { value, selected: value === given }, value);
    return el("select", required, el("option", { value: "" }, "–"), ...field.choices.map(option));
  }
  const input = field.words ? el("textarea", { ...QUIET, ...required, rows: "3" }) : el("input", { ...QUIET, ...required, type: "text" });
  input.value = given;
  if (!field.words && field.choices.length) {
    const id = `l${field.name}`;
    input.setAttribute("list", id);
    const list = el("datalist", { id }, ...field.choices.map((/** @type {string} */ value) => el("option", { value })));
    input.addEventListener("focus", () => input.parentNode?.append(list), { once: true });
  }
  return input;
}

/** Returns a command line. @param {any} entry @param {string[]} values */
function line(entry, values) {
  let line = entry.name;
  entry.fields.forEach((/** @type {any} */ field, /** @type {number} */ at) => {
    const value = values[at];
    if (!value) return;
    if (field.flag) line += ` ${field.flag}`;
    if (!field.switch) line += ` ${field.words || !/\s/.test(value) ? value : `"${value}"`}`;
  });
  return line;
}

/** Asks before something is done. @param {{token: number, words: string}} asked */
export function question({ token, words }) {
  let agrees = false;
  const yes = button("Yes", () => ((agrees = true), close()), { class: "main" });
  const no = button("No", () => close(), { "data-first": true });
  const onclose = () => ask({ Answer: { token, agrees } });
  dialog("Shall it be done?", [...lines(words), el("p", { class: "row" }, yes, no)], { onclose, done: "Close (no)" });
}

/** Shows a text, or the agreement to be signed. @param {{title: string, body: string, signs: boolean}} text */
export function text({ title, body, signs }) {
  const read = el("div", { class: signs ? "words agreement" : "words", tabindex: "0", role: "group", "aria-label": title }, bdi(body));
  if (!signs) return dialog(title, [read], { wide: true });
  const typed = el("input", { ...QUIET, type: "text" });
  const sign = el(
    "form",
    {
      autocomplete: "off",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const words = typed.value;
        close();
        ask({ Sign: words });
      },
    },
    el("p", {}, "To accept all of the above, type: I acknowledge. To decide later, close this."),
    labelled("Your words", typed),
    el("button", { type: "submit", class: "main" }, "Sign"),
  );
  return dialog(title, [read, sign], { wide: true });
}

/** Shows courses as pictures with their words. @param {any} charts */
export const charts = (charts) => dialog("The course", pictures(charts), { wide: true });

/** Asks for a mood. @param {string[]} asked */
ui.mood = (asked) => {
  const numbers = Array.from({ length: 11 }, (_, n) => String(n));
  const one = (/** @type {string} */ n) => el("label", { class: "score" }, el("input", { type: "radio", name: "score", value: n }), n);
  const note = el("input", { ...QUIET, type: "text" });
  const told = el("p", { role: "alert", class: "fault" });
  const form = el(
    "form",
    {
      autocomplete: "off",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const score = new FormData(event.currentTarget).get("score");
        if (score === null) return (told.textContent = "Choose a number, or skip.");
        close();
        run(`mood ${score} ${note.value.trim()}`.trim());
      },
    },
    el("fieldset", {}, el("legend", {}, "From 0, as bad as it gets, to 10, as good as it gets"), el("div", { class: "scores" }, ...numbers.map(one))),
    labelled("A word with it (may be left out)", note),
    told,
    el("p", { class: "row" }, el("button", { type: "submit", class: "main" }, "Send"), asked.length ? button("Skip", () => (close(), run("mood skip"))) : null),
  );
  dialog("How are you right now?", [...asked.map((line) => el("p", {}, bdi(line))), form]);
};

/** Shows the numbers. Nothing is sent by it. */
ui.help = () => {
  const numbers = app.scene?.numbers;
  if (!numbers) return;
  const said = numbers.lines.map((/** @type {string} */ line) => el("p", {}, bdi(line)));
  const words = el("textarea", { ...QUIET, rows: "2" });
  const tell = numbers.tells
    ? [
        el("p", { class: "row" }, button(`Tell ${numbers.tells}`, () => (close(), ask({ CallHelp: words.value }, words.value)), { class: "main", "data-first": true }), button("Only these numbers", close)),
        labelled("Words for them (may be left out)", words),
      ]
    : [];
  dialog("help-now", [el("div", { class: "numbers" }, ...said), ...tell], { done: "Only these numbers" });
};

ui.keys = () =>
  dialog("Keys", [
    el(
      "dl",
      {},
      ...[
        ["Enter", "send what you typed; with Shift it breaks the line"],
        ["/ in an empty line", "all you can do here"],
        ["Shift, three times", "hide at once and lock; what you typed is kept"],
        ["Escape", "one step back, never out"],
        ["Tab", "the next control; the talk is one of them, and the arrows scroll it"],
      ].flatMap(([key, what]) => [el("dt", {}, key), el("dd", {}, what)]),
    ),
  ]);
