// The page: lets itself in, listens, shows what it is told, and empties itself when it hides or is left alone.

import { app, ask, choose, clear, run, ui } from "./app.js";
import { around, frame, places } from "./around.js";
import { release } from "./charts.js";
import { bdi, button, el } from "./dom.js";
import * as join from "./join.js";
import { draft, fills, line, prompt, sayAgain, went } from "./line.js";
import * as over from "./over.js";
import * as talk from "./talk.js";
import * as time from "./time.js";
import * as wire from "./wire.js";

/** Milliseconds without a key or touch in which the hiding is announced. */
const ANNOUNCED = 60_000;
/** Remarks that stay above the line. */
const REMARKS_MAX = 4;
/** Milliseconds in which three presses of Shift hide. */
const SHIFTS = 2_000;
/** Milliseconds after which a spoken line leaves the page. */
const SPOKEN = 10_000;
/** Milliseconds between two signs that a person is there. */
const AWAKE_EACH = 20_000;

const state = { hidden: true, idle: 0, touched: Date.now(), told: 0, announced: false, pressed: 0 };
/** @type {any} */
let said;
/** @type {any} */
let remarks;
const shifts = [0, 0, 0];

/** Takes every word off the page, but for what was typed at the door if somebody is still there. */
function emptied(joins = false) {
  document.body.replaceChildren();
  document.title = "hearth";
  state.hidden = true;
  over.close();
  release();
  clear();
  time.clear();
  if (!joins) join.forget();
}

/** Shows a page that says one thing. @param {string} title @param {string[]} words @param {...any} more */
function alone(title, words, ...more) {
  emptied();
  document.body.append(el("main", { class: "alone" }, el("h1", { tabindex: "-1" }, title), ...words.map((word) => el("p", {}, word)), ...more));
  document.querySelector("h1")?.focus();
}

/** Makes the room's frame. */
function room() {
  if (!state.hidden) return;
  emptied();
  state.hidden = false;
  said = el("div", { role: "status", class: "unseen" });
  remarks = el("div", { class: "remarks", role: "status" });
  const parts = frame();
  const header = el(
    "header",
    {},
    el("div", {}, parts.title, parts.status),
    el("p", { class: "row" }, button("help-now", () => ui.help(), { class: "help", "aria-haspopup": "dialog" }), button("Hide", () => ui.hide()), button("More", more, { "aria-haspopup": "dialog" })),
    el("p", { class: "row narrow" }, parts.toYou, button("Rooms", () => ui.rooms())),
  );
  const main = el("main", {}, parts.now, talk.talk(), remarks, line());
  document.body.append(el("a", { href: "#line", class: "skip", onclick: (/** @type {Event} */ event) => (event.preventDefault(), ui.line().focus()) }, "To the line you type in"), header, el("div", { class: "columns" }, main, parts.forYou, parts.rooms), said);
  document.title = "hearth";
}

/** Lists the other pages. */
function more() {
  const has = (/** @type {string} */ name) => app.scene?.entries.some((/** @type {any} */ entry) => entry.name === name);
  const row = (/** @type {string} */ label, /** @type {any} */ does) => ({ label, does });
  const rows = [
    row("The agreement", { Run: "agreement" }),
    row("Who is in the room", { Run: "who" }),
    row("What is in force", { Run: "status" }),
    row("The log of what was done", { Run: "log" }),
  ].filter((row) => row.does.Run === "agreement" || has(row.does.Run));
  ui.choose("More", [], rows);
  const list = document.querySelector("dialog .choices");
  const add = (/** @type {string} */ label, /** @type {() => void} */ press) => list?.append(el("li", {}, button(label, () => (over.close(), press()))));
  add("Your receipt", () => ask("Receipt"));
  add("How you are, as a picture", () => ask({ Course: "" }));
  add("Settings of this device", settings);
  add("Keys", () => ui.keys());
  add("End", () => ui.quit());
}

function settings() {
  const wanted = ["bell", "quiet", "away", "back", "mute", "unmute"];
  const entries = app.scene.entries.filter((/** @type {any} */ entry) => wanted.includes(entry.name));
  const row = (/** @type {any} */ entry) => el("li", {}, button([el("b", {}, entry.name), " ", bdi(entry.does)], () => (over.close(), choose(entry))));
  const root = document.documentElement;
  const look = el("select", { onchange: () => (root.dataset.look = look.value) }, ...["as the system", "light", "dark"].map((value) => el("option", { selected: root.dataset.look === value }, value)));
  over.dialog("Settings of this device", [el("div", { class: "field" }, el("label", { for: "look" }, "Colours"), (look.id = "look", look)), el("p", { class: "hint" }, "The size of letters is your browser’s: Ctrl and +."), el("ul", { class: "choices" }, ...entries.map(row))]);
}

ui.choose_entry = choose;
ui.say = (/** @type {string} */ text) => {
  if (!said) return;
  const made = el("p", {}, text);
  said.append(made);
  // Who reads the page line by line finds what holds now in its bands.
  setTimeout(() => made.remove(), SPOKEN);
};
ui.remark = (/** @type {string} */ text) => {
  if (state.hidden) return;
  remarks.append(el("p", {}, bdi(text)));
  while (remarks.children.length > REMARKS_MAX) remarks.firstChild.remove();
};
ui.go = (/** @type {number} */ id) => {
  if (id === app.here) return ui.line().focus();
  ask({ Keep: draft() });
  ask({ Go: id });
};
ui.quit = () => {
  const text = draft();
  alone("Ended", ["You can close this page."]);
  ask({ Quit: text });
};
ui.hide = () => {
  const atDoor = document.querySelector("main.door") !== null;
  if (state.hidden && !atDoor) return;
  const text = atDoor ? "" : draft();
  hidden();
  ask({ Lock: text });
};
const hidden = () => alone("Hidden", ["Nothing of your rooms is on this page now, and the profile is locked. What you typed is kept.", "To go on, type your passphrase in the terminal where you started hearth web; this page comes back by itself."]);

/** Takes one message. @param {any} told */
function take(told) {
  const [kind, value] = typeof told === "string" ? [told, null] : Object.entries(told)[0];
  const needsRoom = ["Places", "Went", "Scene", "Items", "Earlier"];
  if (needsRoom.includes(kind)) room();
  else if (state.hidden && !["Now", "Idle", "Locked", "Opened", "Join", "Ended", "Elsewhere"].includes(kind)) return;
  switch (kind) {
    case "Now":
      return time.set(value);
    case "Idle":
      return (state.idle = value);
    case "Places":
      app.places = value;
      return places();
    case "Went":
      app.here = value;
      talk.empty();
      went();
      over.close();
      remarks.replaceChildren();
      return places();
    case "Scene":
      app.scene = value;
      around();
      talk.waits(value.waiting);
      talk.days();
      return prompt();
    case "Items":
      return talk.take(value);
    case "Earlier":
      return talk.earlier(value);
    case "Gone":
      return talk.gone(value);
    case "Remark":
      return ui.remark(value);
    case "Text":
      return shown(value.title, () => over.text(value));
    case "Charts":
      return shown("The course", () => over.charts(value));
    case "Asks":
      return shown("A question", () => over.question(value));
    case "Fills":
      return fills(value.words);
    case "Filled":
      return sayAgain();
    case "Help":
      return shown("help-now", () => ui.help());
    case "GiveBack":
      return ui.giveBack(value);
    case "Bell":
      document.title = document.title === "hearth" ? "(1) hearth" : document.title;
      return ui.say("Something new.");
    case "Receipt":
      return receipt(value);
    case "Join":
      emptied(true);
      document.body.append(join.join(value));
      return /** @type {HTMLElement|null} */ (document.querySelector("[data-first]"))?.focus();
    case "Locked":
      return hidden();
    case "Elsewhere":
      wire.forget();
      return alone("Open elsewhere", ["Your rooms are open in another page now. This one is empty; you can close it."]);
    case "Ended":
      wire.forget();
      return alone("Ended", ["hearth web has ended. You can close this page."]);
  }
}

/**
 * Opens what answers a press at once, and what comes while somebody types by a button, because the focus is theirs.
 * @param {string} title @param {() => void} open
 */
function shown(title, open) {
  const types = document.activeElement === ui.line() && ui.line().value !== "" && Date.now() - state.pressed > 500;
  if (!types) return open();
  const made = el("p", {}, bdi(`${title}: `), button("show it", () => (made.remove(), open())));
  remarks.append(made);
}

/** Shows the receipt, to be kept. @param {string} text */
function receipt(text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const save = el("a", { href: address, download: "hearth-receipt.txt", class: "button" }, "Save it as a file");
  over.dialog("Your receipt", [el("p", {}, "It proves what you agreed to, and when. “hearth receipt verify FILE” checks it, with no network."), el("p", {}, save), el("div", { class: "words agreement", tabindex: "0", role: "region", "aria-label": "The receipt" }, text)], { wide: true, onclose: () => URL.revokeObjectURL(address) });
}

/** Hides when nobody is there. */
function awake() {
  const now = Date.now();
  if (state.hidden || !state.idle) return;
  const rest = state.idle - (now - state.touched);
  if (rest <= 0) return ui.hide();
  if (rest <= ANNOUNCED && !state.announced) {
    state.announced = true;
    ui.remark("This hides in one minute, because nobody has touched it. Any key keeps it.");
  }
}

/** Somebody is there. @param {Event} event */
function touched(event) {
  if (!event.isTrusted) return;
  const now = Date.now();
  [state.touched, state.announced] = [now, false];
  if (event.type === "click" || /** @type {KeyboardEvent} */ (event).key === "Enter") state.pressed = now;
  if (!state.hidden && now - state.told > AWAKE_EACH) {
    state.told = now;
    ask("Awake");
  }
}

/** Three presses of Shift alone hide, as in services for people who are watched. @param {KeyboardEvent} event */
function shift(event) {
  if (event.repeat) return;
  if (event.key !== "Shift") return shifts.fill(0);
  shifts.shift();
  shifts.push(Date.now());
  if (shifts[0] && shifts[2] - shifts[0] < SHIFTS) ui.hide();
}

async function begin() {
  const code = wire.code();
  if (code) {
    alone("Opening", ["Your rooms are being opened …"]);
    const why = await wire.enter(code, (words) => alone("Compare three words", ["The terminal where you started hearth web shows three words, too. If they are these, press Enter there:"], el("p", { class: "three" }, words))).catch(() => "The program on this computer did not answer.");
    if (why && !wire.key()) return alone("Not opened", [`${why}.`.replace("..", "."), "For a new link, press Enter in the terminal where you started hearth web."]);
  }
  if (!wire.key()) return alone("A link is needed", ["This page opens by the link that hearth web prints. For a new one, press Enter in that terminal."]);
  for (;;) {
    const ended = await wire.listen(take);
    if (!wire.key()) return;
    if (ended === "refused") {
      wire.forget();
      return alone("Closed", ["This page belongs to a program that has ended, or a newer link is open.", "Run hearth web for a new one."]);
    }
    emptied();
    await new Promise((/** @type {(value?: any) => void} */ again) => alone("No connection to this computer’s program", ["The program that keeps your rooms has ended, or this computer slept. Nothing is shown meanwhile."], button("Connect again", () => again())));
  }
}

for (const kind of ["keydown", "pointerdown", "click", "touchstart"]) addEventListener(kind, touched, { capture: true, passive: true });
addEventListener("keydown", shift, { capture: true });
addEventListener("visibilitychange", () => !state.hidden && talk.seen());
// A page that is left must not come back with its words.
addEventListener("pagehide", () => emptied());
addEventListener("pageshow", (event) => event.persisted && location.reload());
document.addEventListener("freeze", () => emptied());
addEventListener("hashchange", () => location.reload());
setInterval(() => {
  if (!state.hidden) time.tick(ui.say);
  awake();
}, 1_000);
begin();
