// Countdowns, by the relay's clock. They are seen every second and spoken three times.

let ahead = 0;

/** Learns the relay's clock. @param {number} now */
export const set = (now) => {
  ahead = now - Date.now();
};

export const now = () => Date.now() + ahead;

/** @param {number} millis */
export function left(millis) {
  const seconds = Math.max(0, Math.ceil(millis / 1000));
  const [d, h, m, s] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  if (d) return `${d} d ${h} h`;
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Says the same for the ear. @param {number} millis */
export function spoken(millis) {
  const minutes = Math.round(millis / 60_000);
  if (minutes < 1) return `${Math.max(0, Math.ceil(millis / 1000))} seconds`;
  if (minutes < 120) return minutes === 1 ? "1 minute" : `${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}

/** @type {{from: Node, node: Text, until: number}[]} */
let counting = [];
/** @type {Map<string, {text: string, until: number, stage: number}>} */
const said = new Map();

/** Makes text in which `{left}` counts down. @param {string} text @param {number} until @param {HTMLElement} into */
export function counted(text, until, into) {
  const [before, ...after] = text.split("{left}");
  into.append(before);
  if (after.length) {
    const node = document.createTextNode(left(until - now()));
    counting.push({ from: into, node, until });
    into.append(node, after.join("{left}"));
  }
}

/**
 * Says what begins, what has a minute left, what ended. Each is said once.
 * @param {{key: string, text: string, until: number}[]} bands
 * @param {(text: string) => void} say
 */
export function announce(bands, say) {
  const there = new Set(bands.map((band) => band.key));
  for (const [key, known] of said) {
    if (there.has(key)) continue;
    said.delete(key);
    if (known.until && known.until <= now() + 2_000 && known.stage < 3) say(`Over: ${short(known.text)}`);
  }
  for (const { key, text, until } of bands) {
    const words = text.replace("{left}", spoken(until - now()));
    const known = said.get(key);
    if (!known || (known.text !== text && !until)) {
      said.set(key, { text, until, stage: until && until - now() <= 60_000 ? 2 : 1 });
      say(words);
    } else {
      known.until = until;
      known.text = text;
    }
  }
}

/** @param {string} text */
const short = (text) => text.split(/[,.{]/)[0].trim();

/** @param {(text: string) => void} say */
export function tick(say) {
  const time = now();
  counting = counting.filter(({ from }) => from.isConnected);
  for (const { node, until } of counting) {
    const text = left(until - time);
    if (node.data !== text) node.data = text;
  }
  for (const known of said.values()) {
    const rest = known.until - time;
    if (!known.until || !known.text.includes("{left}")) continue;
    if (known.stage === 1 && rest <= 60_000) {
      known.stage = 2;
      say(`1 minute left: ${short(known.text)}`);
    } else if (known.stage === 2 && rest <= 0) {
      known.stage = 3;
      say(`Over: ${short(known.text)}`);
    }
  }
}

/** Forgets all of it. */
export function clear() {
  counting = [];
  said.clear();
}
