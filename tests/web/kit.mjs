// A real relay, real profiles, `hearth web`, and a real Chromium.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const BIN = resolve(ROOT, process.env.HEARTH_BIN_DIR ?? "target/debug");
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** Milliseconds that anything may take. */
export const PATIENCE = 30_000;

export const AGREEMENT = `# What we agree on

1. What is said here stays here.
2. I may speak of myself, and never of another.

\`\`\`help
country = "GB"
minutes_unseen = 5
answers_read_within = "1 working day"
present = ["Fay Tue 19:00-21:00"]
complaint = "the programme, 001"
[[contact]]
kind = "emergency"
name = "Emergency"
number = "000"
hours = "always"
checked = { on = 2026-11-28, by = "Fay", how = "official page" }
source = "made up for a test"
[[contact]]
kind = "call"
name = "A line for tests"
number = "111"
hours = "always"
checked = { on = 2026-11-28, by = "Fay", how = "official page" }
source = "made up for a test"
\`\`\`
`;

/** Returns Chromium's path; nothing where it may be missing and is. */
export function chrome() {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const found = [process.env.CHROME, ...names.map((name) => `/usr/bin/${name}`)].find((path) => path && existsSync(path));
  if (!found && process.env.HEARTH_TOOLS === "required") throw new Error("Chromium is not installed");
  return found;
}

const folders = [];
const processes = [];

export function folder() {
  const made = mkdtempSync(join(tmpdir(), "hearth-web-test-"));
  folders.push(made);
  return made;
}

/** Ends all that was started, and deletes what it left. */
export async function over() {
  for (const child of processes) {
    const ended = new Promise((done) => child.once("exit", done));
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await ended;
    }
  }
  for (const made of folders) rmSync(made, { recursive: true, force: true });
}

function start(program, args, options = {}) {
  const child = spawn(join(BIN, program), args, { stdio: ["pipe", "pipe", "pipe"], ...options });
  child.told = "";
  child.stderr.on("data", (part) => (child.told += part));
  processes.push(child);
  return child;
}

/** Reads lines of a program's output, one at a call. */
function lines(child) {
  let rest = "";
  const ready = [];
  const waiting = [];
  child.stdout.on("data", (part) => {
    const parts = (rest + part).split("\n");
    rest = parts.pop();
    for (const line of parts) waiting.length ? waiting.shift()(line) : ready.push(line);
  });
  return () =>
    new Promise((found, failed) => {
      if (ready.length) return found(ready.shift());
      const late = setTimeout(() => failed(new Error(`no line came: ${child.told}`)), PATIENCE);
      waiting.push((line) => (clearTimeout(late), found(line)));
    });
}

/** Somebody with a profile of their own. */
export class Person {
  home = join(folder(), "home");

  /** Runs a command; returns the objects that it prints. */
  does(args, input = "") {
    const done = spawnSync(join(BIN, "hearth"), ["--home", this.home, "--json", ...args], { input, encoding: "utf8", timeout: PATIENCE });
    if (done.status !== 0) throw new Error(`${args.join(" ")}: ${done.stdout}${done.stderr}`);
    return done.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  /** Starts `hearth web`. */
  async web(more = [], flags = []) {
    const child = start("hearth", ["--home", this.home, ...flags, "--json", "web", "--no-open", ...more]);
    const next = lines(child);
    const link = async () => JSON.parse(await next()).link;
    return { child, link, enter: () => child.stdin.write("\n"), first: await link() };
  }
}

/** A relay, and a room on it whose facilitator is Fay. */
export async function room() {
  const data = join(folder(), "relay");
  const relay = start("hearthd", ["--data-dir", data, "--listen", "127.0.0.1:0"]);
  await lines(relay)();
  const grant = execFileSync(join(BIN, "hearthd"), ["grant", "--data-dir", data], { encoding: "utf8" });
  const agreement = join(folder(), "agreement.md");
  writeFileSync(agreement, AGREEMENT);
  const fay = new Person();
  const [made] = fay.does(["room", "create", "Tuesday evening", "--grant", "-", "--agreement", agreement, "--as", "Fay"], grant);
  const invite = () => fay.does(["invite", made.room])[0].link;
  /** Lets somebody in. */
  const admit = (name) => {
    const person = new Person();
    person.does(["join", "-", "--as", name, "--acknowledge", made.agreement, "--no-wait"], invite());
    fay.does(["admit", made.room, name]);
    person.does(["read", made.room]);
    return person;
  };
  return { relay, fay, name: made.room, invite, admit, agreement };
}

/** Starts a browser; returns a page, all requests that it made, and all errors that it met. */
export async function browser(options = {}, args = []) {
  const profile = folder();
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: chrome(),
    // Tests run as root in containers, where Chromium has no sandbox of its own.
    args: ["--no-sandbox", "--disable-gpu", ...args],
    viewport: { width: 1100, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(PATIENCE);
  const page = context.pages()[0] ?? (await context.newPage());
  const requests = [];
  const errors = [];
  context.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  return { context, page, profile, requests, errors };
}

/** Returns what axe finds on a page, as text: nothing if nothing is wrong. */
export async function faults(page) {
  const session = await page.context().newCDPSession(page);
  // The page takes no inline script; the debugger's own world does.
  const { readFileSync } = await import("node:fs");
  const run = `${readFileSync(AXE, "utf8")};axe.run(document,{runOnly:{type:"tag",values:["wcag2a","wcag2aa","wcag21a","wcag21aa","wcag22aa","best-practice"]}}).then(r=>JSON.stringify(r.violations.map(v=>({id:v.id,help:v.help,nodes:v.nodes.map(n=>n.html.slice(0,200)+" "+n.failureSummary)}))))`;
  const { result, exceptionDetails } = await session.send("Runtime.evaluate", { expression: run, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
  await session.detach();
  const violations = JSON.parse(result.value);
  return violations.map((found) => `${found.id}: ${found.help}\n  ${found.nodes.join("\n  ")}`).join("\n");
}
