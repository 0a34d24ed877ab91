// The way to the process on this computer: the code of the link, the key, the stream, the acts.

const KEY = "key";
/** Milliseconds without a sign of life after which a stream is lost. */
const SILENCE = 35_000;
/** Characters of one act, below what the server takes. */
const ACT_MAX = 200_000;

/** @param {string} path @param {string} secret @param {string} body @param {AbortSignal} [signal] */
const post = (path, secret, body, signal) =>
  fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${secret}` },
    body,
    signal,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    referrerPolicy: "no-referrer",
  });

export const key = () => sessionStorage.getItem(KEY);
export const forget = () => sessionStorage.removeItem(KEY);

/**
 * Takes the code out of the address, so that it stands in no history.
 * @returns {string}
 */
export function code() {
  const code = location.hash.slice(1);
  if (code) history.replaceState(null, "", "/");
  return code;
}

/**
 * Exchanges a code for the key of this page. `words` shows what the terminal shows, too.
 * @param {string} code
 * @param {(words: string) => void} words
 * @returns {Promise<string>} why not; empty if it is in
 */
export async function enter(code, words) {
  const answer = await post("/api/enter", code, "{}");
  if (!answer.ok) return answer.text();
  let why = "The terminal did not say yes.";
  await read(answer, (told) => {
    if (told.words) words(told.words);
    if (told.key) {
      sessionStorage.setItem(KEY, told.key);
      why = "";
    }
  });
  return why;
}

/**
 * Reads the stream until it ends.
 * @param {(told: any) => void} tell
 * @returns {Promise<"refused"|"ended">}
 */
export async function listen(tell) {
  const stop = new AbortController();
  let heard = Date.now();
  // A computer that slept has an old stream and no sign of it.
  const watch = setInterval(() => Date.now() - heard > SILENCE && stop.abort(), 5_000);
  try {
    const answer = await post("/api/stream", key() ?? "", "{}", stop.signal);
    if (answer.status === 401) return "refused";
    if (answer.ok) await read(answer, tell, () => (heard = Date.now()));
  } catch {
    // The process is gone, or the stream was lost.
  } finally {
    clearInterval(watch);
  }
  return "ended";
}

/** @param {Response} answer @param {(told: any) => void} tell @param {() => void} [alive] */
async function read(answer, tell, alive = () => {}) {
  const reader = /** @type {any} */ (answer.body).pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    const parts = (rest + value).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part) tell(JSON.parse(part));
  }
}

let last = Promise.resolve(true);

/**
 * Does something, behind what was asked for before.
 * @param {any} act
 * @returns {Promise<boolean>} whether it was taken
 */
export function act(act) {
  const body = JSON.stringify(act);
  if (body.length > ACT_MAX) return Promise.resolve(false);
  last = last.then(async () => {
    try {
      return (await post("/api/act", key() ?? "", body)).ok;
    } catch {
      return false;
    }
  });
  return last;
}
