// The way in: a link is pasted, the agreement read to its end and typed, a name given, a knock sent.

import { ask, ui } from "./app.js";
import { QUIET, bdi, button, el, labelled } from "./dom.js";

/** What was typed so far. A slip repeats its own step only. */
let typed = { link: "", name: "", words: "", answers: /** @type {string[]} */ ([]) };

export const forget = () => (typed = { link: "", name: "", words: "", answers: [] });

/**
 * Draws a step.
 * @param {{step: string, told?: string, preview?: {title: string, agreement: string, version: string, questions: {ask: string, choices: string[]}[], name: string|null}, back?: boolean}} at
 */
export function join({ step, told, preview, back }) {
  const fault = el("p", { role: "alert", class: "fault" }, told ? bdi(told) : null);
  const leave = back ? button("Back to your rooms", () => ask("JoinLeave")) : null;
  if (step === "reading") return page("Reading the agreement", fault, el("p", {}, "The relay is asked for it …"));
  if (step === "knocking") return page("Knocking", el("p", {}, "Your acknowledgement is signed and sent …"));
  if (step === "waiting")
    return page(
      "You have knocked",
      el("p", {}, "A facilitator lets you in, or answers. It may take a while. You need not wait here: close this, and hearth web goes on waiting when you start it again."),
      el("p", {}, "Once you are in, this page shows the room by itself."),
      el("p", { class: "row" }, back ? leave : null, button("Use another link", () => ask("JoinAgain"))),
    );
  return preview ? agreement(preview, fault, leave) : link(fault, leave);
}

/** @param {string} title @param {...any} children */
const page = (title, ...children) => el("main", { class: "alone door" }, el("h1", { tabindex: "-1", "data-first": true }, title), ...children, el("p", {}, button("Hide", () => ui.hide())));

/** @param {any} fault @param {any} leave */
function link(fault, leave) {
  const field = el("textarea", { ...QUIET, rows: "4", autocapitalize: "off" });
  field.value = typed.link;
  const form = el(
    "form",
    {
      autocomplete: "off",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        // Mail breaks long lines.
        typed.link = field.value.replace(/\s+/g, "");
        if (typed.link) ask({ JoinLook: typed.link });
        else fault.textContent = "There is no link yet.";
      },
    },
    labelled("Your invite link", field, "Somebody sent it to you. It is read by this computer and by the room’s relay alone. You read the agreement first; nothing is sent before you say yes."),
    fault,
    el("p", { class: "row" }, el("button", { type: "submit", class: "main" }, "Read the agreement"), leave),
  );
  return page("Join a room", form, el("p", { class: "hint" }, "In danger now? Call the emergency number of the country you are in."));
}

/** @param {any} preview @param {any} fault @param {any} leave */
function agreement(preview, fault, leave) {
  const text = el("div", { class: "words agreement", tabindex: "0", role: "region", "aria-label": "The agreement" }, bdi(preview.agreement));
  const name = el("input", { ...QUIET, type: "text", autocapitalize: "words" });
  name.value = preview.name ?? typed.name;
  if (preview.name) name.setAttribute("readonly", "");
  const words = el("input", { ...QUIET, type: "text" });
  words.value = typed.words;
  const answers = preview.questions.map((/** @type {any} */ question, /** @type {number} */ at) => {
    const chosen = typed.answers[at] ?? "";
    const choice = (/** @type {string} */ label, /** @type {number} */ n) => el("label", { class: "choice" }, el("input", { type: "radio", name: `q${at}`, value: String(n + 1), checked: chosen === String(n + 1) }), " ", bdi(label));
    return el("fieldset", {}, el("legend", {}, bdi(question.ask)), ...question.choices.map(choice));
  });
  const form = el(
    "form",
    {
      autocomplete: "off",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
        typed.name = name.value.trim();
        typed.words = words.value;
        typed.answers = preview.questions.map((/** @type {any} */ _, /** @type {number} */ at) => String(data.get(`q${at}`) ?? ""));
        if (!typed.name) return (fault.textContent = "A name is missing."), name.focus();
        if (typed.answers.includes("")) return (fault.textContent = "A question is not answered.");
        ask({ JoinKnock: { name: typed.name, words: typed.words, answers: typed.answers } });
      },
    },
    ...answers,
    labelled("Your name in the room (not your real one)", name),
    labelled("To accept all of the above, type: I acknowledge", words),
    fault,
    el("p", { class: "row" }, el("button", { type: "submit", class: "main" }, "Sign and knock"), button("Another link", () => ask("JoinAgain")), leave),
  );
  return page(preview.title, el("p", { class: "hint" }, `Read it to its end. ${preview.version}`), text, form);
}

ui.join = () => ask("JoinBegin");
