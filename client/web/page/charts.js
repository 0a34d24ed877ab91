// Courses as pictures, each with its words as a table. The picture is the one that `--picture` writes.

import { bdi, el } from "./dom.js";

/** @typedef {{title: string, scale: string, rows: [string, string, string][]}} Table */

/** Addresses of pictures, to be given back when they are gone. @type {string[]} */
let shown = [];

/** Gives back what pictures were made of. */
export function release() {
  shown.forEach((address) => URL.revokeObjectURL(address));
  shown = [];
}

/** @param {{svg: string, tables: Table[]}} charts */
export function pictures({ svg, tables }) {
  release();
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  shown.push(address);
  const alt = `A picture of ${tables.map((table) => table.title).join("; ")}. The tables below say the same.`;
  return [
    el("img", { src: address, alt, class: "picture" }),
    el("p", {}, el("a", { href: address, download: "course.svg", class: "button" }, "Save the picture as SVG"), " ", el("span", { class: "hint" }, "Whoever has the file reads what is in it.")),
    ...tables.map(table),
  ];
}

/** @param {Table} of */
function table({ title, scale, rows }) {
  const head = ["When", "Value", "Words"].map((name) => el("th", { scope: "col" }, name));
  const row = (/** @type {string[]} */ [at, value, words]) => el("tr", {}, el("th", { scope: "row" }, at), el("td", {}, value), el("td", {}, bdi(words)));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, el("table", {}, el("caption", {}, bdi(`${title} (${scale})`)), el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows.map(row))));
}
