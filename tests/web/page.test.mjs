// Somebody comes in by a link and takes part in an evening, on the page alone.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AGREEMENT, Person, browser, chrome, faults, folder, over, room } from "./kit.mjs";

const skip = chrome() ? false : "Chromium is not installed";
let circle, ben, web, at, page;

const log = () => page.getByRole("log");
const say = async (text) => {
  await page.locator("#line").fill(text);
  await page.locator("#line").press("Enter");
};
const fay = (...args) => circle.fay.does([args[0], circle.name, ...args.slice(1)]);
/** Checks a page as it is: light, dark, narrow, and without sideways scrolling. */
async function accessible(what) {
  for (const [width, scheme] of [[1100, "light"], [1100, "dark"], [320, "light"], [320, "dark"]]) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    assert.equal(await faults(page), "", `${what}, ${width} px, ${scheme}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${what} scrolls sideways by ${wide} at ${width} px`);
  }
  await page.setViewportSize({ width: 1100, height: 800 });
  await page.emulateMedia({ colorScheme: "light" });
}

before(async () => {
  if (skip) return;
  circle = await room();
  ben = new Person();
  ben.secret = join(folder(), "passphrase");
  writeFileSync(ben.secret, "a passphrase of Ben's\n", { mode: 0o600 });
  web = await ben.web([], ["--passphrase-file", ben.secret]);
  at = await browser();
  page = at.page;
});
after(async () => {
  await at?.context.close();
  await over();
});

test("newcomer joins by a link", { skip }, async () => {
  await page.goto(web.first);
  await page.getByRole("heading", { name: "Join a room" }).waitFor();
  assert.ok(!page.url().includes("#"), "the code stays in the address");
  await accessible("the way in");
  await page.getByRole("button", { name: "Hide", exact: true }).click();
  await page.getByRole("heading", { name: "Hidden" }).waitFor();
  web.enter();
  await page.getByRole("heading", { name: "Join a room" }).waitFor();
  const invite = circle.invite();
  const broken = invite.replace(/(.{40})/g, "$1\n  ");
  await page.getByLabel("Your invite link").fill(broken);
  await page.getByRole("button", { name: "Read the agreement" }).click();
  await page.getByRole("region", { name: "The agreement" }).getByText("What is said here stays here").waitFor();
  await accessible("the agreement");
  await page.getByLabel("Your name in the room").fill("Ben");
  await page.getByLabel("To accept all of the above").fill("yes");
  await page.getByRole("button", { name: "Sign and knock" }).click();
  // A slip repeats its own step only.
  await page.getByRole("alert").getByText("accepts nothing yet").waitFor();
  assert.equal(await page.getByLabel("Your name in the room").inputValue(), "Ben");
  await page.getByLabel("To accept all of the above").fill("I acknowledge");
  await page.getByRole("button", { name: "Sign and knock" }).click();
  await page.getByRole("heading", { name: "You have knocked" }).waitFor();
  await accessible("the wait");
  fay("admit", "Ben");
  await page.getByRole("heading", { name: "Tuesday evening", level: 1 }).waitFor();
});

test("words go both ways", { skip }, async () => {
  await say("Good evening from the page");
  await log().getByText("Good evening from the page").waitFor();
  const seen = fay("read");
  assert.ok(seen.some((row) => row.text === "Good evening from the page"), JSON.stringify(seen));
  await page.locator("#line").focus();
  fay("send", "Welcome, <b>Ben</b> \u05d0\u05d1 and all");
  await log().getByText("Welcome, <b>Ben</b>").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "line", "an arrival moved the focus");
  await accessible("the room");
});

test("message is taken back", { skip }, async () => {
  await say("This was said too early");
  await log().getByText("This was said too early").waitFor();
  await page.locator("article", { hasText: "This was said too early" }).getByRole("button").click();
  await accessible("a menu");
  await page.getByRole("dialog").getByRole("button", { name: "Take back" }).click();
  const yes = page.getByRole("dialog").getByRole("button", { name: "Yes" });
  await yes.click();
  await log().getByText("This was said too early").waitFor({ state: "detached" });
});

test("round passes through the page", { skip }, async () => {
  fay("round", "start", "How do you come in tonight?");
  await page.getByText("How do you come in tonight?").first().waitFor();
  const turn = page.getByRole("region", { name: "You have the floor" });
  await turn.waitFor();
  await accessible("a round");
  await page.getByRole("button", { name: "pass", exact: true }).click();
  await turn.waitFor({ state: "detached" });
});

test("poll takes a vote", { skip }, async () => {
  fay("poll", "When do we meet?", "Six", "Seven");
  await page.getByRole("button", { name: "vote" }).click();
  await accessible("a poll");
  await page.getByRole("dialog").getByRole("button", { name: "Seven" }).click();
  await log().getByText("Ben votes: Seven").waitFor();
});

test("mood is answered and drawn", { skip }, async () => {
  fay("duty", "on", "1h");
  fay("mood", "ask");
  await page.getByRole("region", { name: /asks how you are/ }).getByRole("button", { name: "answer" }).click();
  await accessible("a mood");
  await page.getByRole("radio", { name: "4" }).check();
  await page.getByLabel("A word with it").fill("evenings");
  await page.getByRole("dialog").getByRole("button", { name: "Send" }).click();
  await page.getByRole("region", { name: /asks how you are/ }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("button", { name: "How you are, as a picture" }).click();
  await page.getByRole("dialog").getByRole("cell", { name: "evenings" }).waitFor();
  await accessible("a course");
  const saved = page.waitForEvent("download");
  await page.getByRole("link", { name: "Save the picture as SVG" }).click();
  const svg = readFileSync(await (await saved).path(), "utf8");
  assert.ok(svg.startsWith("<svg") && svg.includes("evenings"));
  await page.keyboard.press("Escape");
});

test("help-now shows numbers before anything is sent", { skip }, async () => {
  await page.getByRole("button", { name: "help-now" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Nothing has been sent. Nobody knows that you opened this.").waitFor();
  await dialog.getByText("111").first().waitFor();
  await accessible("help-now");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Tell Fay");
  await page.keyboard.press("Enter");
  await page.getByText(/Sent|Not seen|seen this/).first().waitFor();
  fay("flag", "seen", "Ben");
  await page.getByText(/Fay saw this/).first().waitFor();
});

test("amendment is read and signed", { skip }, async () => {
  const text = join(folder(), "next.md");
  writeFileSync(text, AGREEMENT.replace("never of another.", "never of another, also not outside."));
  circle.fay.does(["agreement", "amend", circle.name, text, "--material", "--effective", "3d"]);
  await page.getByRole("button", { name: "read it and say yes" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("also not outside").waitFor();
  await accessible("an amendment");
  await dialog.getByLabel("Your words").fill("I acknowledge");
  await dialog.getByRole("button", { name: "Sign" }).click();
  await page.getByText("You have signed it").waitFor();
  await page.getByRole("button", { name: "read it and say yes" }).waitFor({ state: "detached" });
});

test("every other page opens", { skip }, async () => {
  for (const [name, words] of [
    ["The agreement", "What is said here stays here"],
    ["The log of what was done", "Fay"],
    ["Your receipt", "hearth receipt verify"],
    ["Settings of this device", "Colours"],
    ["Keys", "Shift, three times"],
  ]) {
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
    await page.getByRole("dialog").getByText(words).first().waitFor();
    await accessible(name);
    await page.keyboard.press("Escape");
  }
  await page.locator("#line").press("/");
  await page.getByRole("dialog").getByText("help-now").first().waitFor();
  await accessible("the commands");
  await page.keyboard.press("Escape");
});

test("text of others is inert", { skip }, async () => {
  const hostile = ["<img src=x onerror=alert(1)>", "\u202eevil\u202c", "a\u200bb", "Z\u0351\u036b\u0343\u036a".repeat(40), "x".repeat(3000)];
  for (const text of hostile) {
    const sent = circle.fay.does(["send", circle.name, "-"], text);
    assert.ok(sent.length);
  }
  await log().getByText("x".repeat(200)).waitFor();
  const text = await log().innerText();
  assert.ok(!/[\u202e\u200b]/.test(text), "a control reached the page");
  assert.equal(await page.locator("article img").count(), 0);
  await accessible("hostile text");
});

test("hiding leaves no word", { skip }, async () => {
  await page.locator("#line").fill("an unfinished thought");
  for (let n = 0; n < 3; n++) await page.keyboard.press("Shift");
  await page.getByRole("heading", { name: "Hidden" }).waitFor();
  const left = await page.evaluate(() => document.documentElement.outerHTML + JSON.stringify(sessionStorage) + JSON.stringify(localStorage));
  for (const word of ["Good evening", "unfinished", "Fay", "Tuesday"]) assert.ok(!left.includes(word), word);
  await accessible("hidden");
  web.enter();
  await page.getByRole("heading", { name: "Tuesday evening", level: 1 }).waitFor();
  assert.equal(await page.locator("#line").inputValue(), "an unfinished thought");
  await page.locator("#line").fill("");
  await page.getByRole("button", { name: "Hide", exact: true }).click();
  await page.getByRole("heading", { name: "Hidden" }).waitFor();
});

test("end of the process empties the page", { skip }, async () => {
  web.enter();
  await page.getByRole("heading", { name: "Tuesday evening", level: 1 }).waitFor();
  web.child.kill("SIGKILL");
  await page.getByRole("heading", { name: /No connection/ }).waitFor();
  assert.ok(!(await page.evaluate(() => document.documentElement.outerHTML)).includes("Good evening"));
});

test("idling hides, and a new link begins", { skip }, async () => {
  web = await ben.web(["--lock-after", "3s"], ["--passphrase-file", ben.secret]);
  await page.goto(web.first);
  await page.getByRole("heading", { name: "Tuesday evening", level: 1 }).waitFor();
  await page.getByRole("heading", { name: "Hidden" }).waitFor();
  assert.ok(!(await page.content()).includes("Good evening"));
});

test("nothing left the computer or stayed in the browser", { skip }, async () => {
  assert.deepEqual(at.errors.filter((error) => !/ERR_|Failed to fetch|favicon/.test(error)), []);
  for (const address of at.requests) assert.match(address, /^(http:\/\/127\.0\.0\.1:\d+\/|blob:http:\/\/127\.0\.0\.1)/);
  await at.context.close();
  const canaries = ["Good evening from the page", "an unfinished thought", "evenings", "never of another"];
  const search = (dir) => {
    for (const name of readdirSync(dir)) {
      const path = join(dir, name);
      const kind = statSync(path, { throwIfNoEntry: false });
      if (kind?.isDirectory()) search(path);
      else if (kind?.isFile()) {
        const bytes = readFileSync(path);
        for (const canary of canaries) {
          const found = bytes.includes(canary) || bytes.includes(Buffer.from(canary, "utf16le"));
          assert.ok(!found, `${canary} is in ${path}`);
        }
      }
    }
  };
  search(at.profile);
  at = null;
});
