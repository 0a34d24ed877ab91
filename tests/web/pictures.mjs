// Makes the pictures of the guides: a room with people in it, through the real programs. `node tests/web/pictures.mjs`

import { mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { browser, over, room } from "./kit.mjs";

const to = resolve(dirname(fileURLToPath(import.meta.url)), "../../docs/pictures");
mkdirSync(to, { recursive: true });

const circle = await room();
const people = Object.fromEntries(["Ben", "Cleo", "Dee"].map((name) => [name, circle.admit(name)]));
const fay = (command, ...rest) => circle.fay.does([command, circle.name, ...rest]);
const says = (name, text) => people[name].does(["send", circle.name, text]);
fay("duty", "on", "2h");
says("Cleo", "I know that one. What helped you on Sunday?");
says("Ben", "Walking. And knowing that somebody reads this.");
says("Dee", "Same here. The first ten minutes are the hardest.");
fay("announce", "Thursday we meet at six. You are not alone tonight.");
fay("round", "start", "What do you take with you?");

const web = await people.Ben.web();
const { context, page } = await browser({ viewport: { width: 1100, height: 720 }, timezoneId: "UTC" });
const shot = (name) => page.screenshot({ path: join(to, name) });
await page.goto(web.first);
await page.getByRole("heading", { name: "Tuesday evening", level: 1 }).waitFor();
await page.getByText("You are not alone tonight.").first().waitFor();
await page.getByRole("region", { name: "You have the floor" }).waitFor();
await shot("page.png");
await page.setViewportSize({ width: 360, height: 720 });
await page.emulateMedia({ colorScheme: "dark" });
await shot("page-narrow.png");
await page.getByRole("button", { name: "help-now" }).first().click();
await page.getByText("Nothing has been sent.").waitFor();
await shot("page-help.png");
await context.close();
await over();
