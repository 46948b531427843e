// The check within a page, where a browser has no service worker: over plain HTTP, or an old one. It can only say that something is wrong.

import { base64, fromBase64, same } from "./bytes.js";
import { MAX_SHOWN_FILE } from "./limits.js";
import { outcomeOf, uncheckedOutcome } from "./outcome.js";
import { checkSite, fetchFrom, trustFirstRoot } from "./site.js";

const REMEMBERED = ["root", "timestamp", "snapshot", "log/checkpoint"];


function open(key) {
  try {
    return new Map(Object.entries(JSON.parse(localStorage.getItem(key) ?? "{}")).map(([name, spelt]) => [name, fromBase64(spelt, name)]));
  } catch {
    return new Map();
  }
}

function save(key, store) {
  try {
    localStorage.setItem(key, JSON.stringify(Object.fromEntries(REMEMBERED.filter((name) => store.has(name)).map((name) => [name, base64(store.get(name))]))));
  } catch {
    // A full or forbidden storage: the next page begins anew.
    return;
  }
}

// The outcome of the page at `path`: `page` if what the server has at its address is what was signed, `differs` if not.
export async function checkHere(origin, path) {
  const key = `terbit ${origin}`;
  const store = open(key);
  try {
    await trustFirstRoot(origin, store);
    const release = await checkSite(origin, store, Date.now());
    save(key, store);
    const shown = await fetchFrom(origin, path, MAX_SHOWN_FILE);
    const read = await release.read(path, shown);
    const outcome = outcomeOf(release, origin, path, read);
    if (!read || outcome.state === "stale") return outcome;
    return { ...outcome, state: same(read.data, shown ?? []) ? "page" : "differs" };
  } catch (error) {
    return uncheckedOutcome(path, error);
  }
}
