// Pages of other sites, guesses and copies, in a real browser.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { browser, chrome, over, room } from "./kit.mjs";

const skip = chrome() ? false : "Chromium is not installed";
let circle, ben, web, at, port, evil;

/** A site that somebody else serves. */
const serve = () =>
  new Promise((ready) => {
    const site = createServer((_, answer) => answer.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>evil</title><body></body>"));
    site.listen(0, "127.0.0.1", () => ready(site));
  });

before(async () => {
  if (skip) return;
  circle = await room();
  ben = circle.admit("Ben");
  web = await ben.web();
  port = new URL(web.first).port;
  evil = await serve();
  at = await browser({}, ["--host-resolver-rules=MAP evil.test 127.0.0.1"]);
  await at.page.goto(web.first);
  await at.page.getByRole("heading", { name: "Tuesday evening", level: 1 }).waitFor();
});
after(async () => {
  await at?.context.close();
  evil?.close();
  await over();
});

const key = () => at.page.evaluate(() => sessionStorage.getItem("key"));
/** Sends an act from a page; returns the status, or why the browser did not let it. */
const act = (page, address, bearer, more = {}) =>
  page.evaluate(
    async ([address, bearer, more]) => {
      try {
        const answer = await fetch(address, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${bearer}` }, body: '{"Say":"forged"}', ...more });
        return answer.status;
      } catch (error) {
        return String(error);
      }
    },
    [address, bearer, more],
  );
const said = () => JSON.stringify(circle.fay.does(["read", circle.name]));

test("rebound name is turned away", { skip }, async () => {
  const page = await at.context.newPage();
  const answer = await page.goto(`http://evil.test:${port}/`);
  assert.equal(answer.status(), 421);
  assert.ok(!(await page.content()).includes("page.js"));
  // Even with the key, from a page that the browser takes for the same origin.
  assert.equal(await act(page, `http://evil.test:${port}/api/act`, await key()), 421);
  assert.ok(!said().includes("forged"));
  await page.close();
});

test("foreign origin reads and sends nothing", { skip }, async () => {
  const page = await at.context.newPage();
  await page.goto(`http://evil.test:${evil.address().port}/`);
  const address = `http://127.0.0.1:${port}`;
  assert.match(String(await act(page, `${address}/api/act`, await key())), /TypeError/);
  // What is sent without asking first: a form's content type, and nothing is read.
  const simple = { mode: "no-cors", headers: { "content-type": "text/plain" } };
  await act(page, `${address}/api/act`, "", simple);
  const loaded = await page.evaluate(
    (address) =>
      new Promise((told) => {
        const script = document.createElement("script");
        script.src = `${address}/page.js`;
        script.type = "module";
        script.onload = () => told("loaded");
        script.onerror = () => told("refused");
        document.body.append(script);
      }),
    address,
  );
  assert.equal(loaded, "refused");
  assert.ok(!said().includes("forged"));
  await page.close();
});

test("page is framed by nobody", { skip }, async () => {
  const page = await at.context.newPage();
  await page.goto(`http://evil.test:${evil.address().port}/`);
  await page.evaluate(
    (address) =>
      new Promise((told) => {
        const frame = document.createElement("iframe");
        frame.src = address;
        frame.onload = told;
        document.body.append(frame);
      }),
    `http://127.0.0.1:${port}/`,
  );
  const frame = page.frames().find((frame) => frame !== page.mainFrame());
  assert.ok(!frame || !(await frame.content().catch(() => "")).includes("page.js"));
  await page.close();
});

test("guessed key opens nothing", { skip }, async () => {
  const good = await key();
  for (const guess of ["", "guess", good.slice(1), good.toLowerCase()]) {
    assert.equal(await act(at.page, "/api/act", guess), 401, guess);
  }
  const link = new URL(web.first);
  assert.equal(await act(at.page, "/api/enter", link.hash.slice(1)), 401, "the code opened twice");
  assert.ok(!said().includes("forged"));
});

test("second tab has no key", { skip }, async () => {
  const page = await at.context.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.getByRole("heading", { name: "A link is needed" }).waitFor();
  await page.goto(web.first);
  await page.getByRole("heading", { name: "Not opened" }).waitFor();
  assert.ok(await at.page.getByRole("heading", { name: "Tuesday evening", level: 1 }).isVisible());
  await page.close();
});

test("newer link empties the older page", { skip }, async () => {
  web.enter();
  const link = await web.link();
  const page = await at.context.newPage();
  await page.goto(link);
  await page.getByRole("heading", { name: "Tuesday evening", level: 1 }).waitFor();
  await at.page.getByRole("heading", { name: "Open elsewhere" }).waitFor();
  assert.ok(!(await at.page.content()).includes("Tuesday"));
  await page.reload();
  await page.getByRole("heading", { name: "Tuesday evening", level: 1 }).waitFor();
  await page.close();
});
