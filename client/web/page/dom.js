// Elements. Text becomes text nodes and nothing else: no string is ever read as markup.

/** @typedef {Node|string|null|undefined|false} Child */

/**
 * Makes an element. Properties that begin with `on` are listeners; `true` sets an empty attribute, `false` and `null` none.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...Child} children
 * @returns {any}
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  put(made, ...children);
  return made;
}

/**
 * Adds children.
 * @param {Node} into
 * @param {...Child} children
 */
export function put(into, ...children) {
  for (const child of children) {
    if (child || child === "") into.appendChild(typeof child === "string" ? document.createTextNode(child) : child);
  }
}

/** Makes text that keeps its own direction. @param {string} text */
export const bdi = (text) => el("bdi", {}, text);

/**
 * Makes a button.
 * @param {string|Child[]} label
 * @param {(event: Event) => void} press
 * @param {Record<string, any>} [props]
 */
export const button = (label, press, props = {}) =>
  el("button", { type: "button", onclick: press, ...props }, ...(Array.isArray(label) ? label : [bdi(label)]));

/** Attributes of what is typed: browsers send none of it away. */
export const QUIET = {
  autocomplete: "off",
  autocapitalize: "sentences",
  autocorrect: "off",
  spellcheck: "false",
  writingsuggestions: "false",
  translate: "no",
  "data-gramm": "false",
  "data-lt-active": "false",
  "data-1p-ignore": true,
  "data-lpignore": "true",
};

let ids = 0;

/**
 * Makes a labelled field.
 * @param {string} label
 * @param {HTMLElement} field
 * @param {string} [help]
 */
export function labelled(label, field, help = "") {
  field.id ||= `f${++ids}`;
  const said = help ? el("p", { class: "hint", id: `${field.id}h` }, bdi(help)) : null;
  if (said) field.setAttribute("aria-describedby", said.id);
  return el("div", { class: "field" }, el("label", { for: field.id }, bdi(label)), said, field);
}

/** Makes paragraphs of lines. @param {string} text */
export const lines = (text) => text.split("\n").map((line) => el("p", {}, bdi(line)));
