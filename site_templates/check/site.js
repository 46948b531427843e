// One check of a Terbit site, with mirrors: TUF and the log from the first place that stands it, files by hash from any place.

import { FetchError, StaleError, VerificationError, VerifierError, malformed, refuted } from "./errors.js";
import { concat } from "./bytes.js";
import { parseJson } from "./json.js";
import { MAX_MIRRORS, MAX_ROOT } from "./limits.js";
import { checkLog, PROOF } from "./log.js";
import { checkBytes, Client } from "./tuf.js";

const TIMEOUT = 10_000;
const MIRRORS_PATH = "mirrors.json";
// What we know ourselves from earlier checks, in the place of a mirror: who has seen a timestamp needs no other, older one.
const OWN = null;

function ownFile(store, path) {
  if (path === "metadata/timestamp.json") return store.get("timestamp");
  return (path.endsWith(".tlog-proof") && store.get(PROOF)) || null;
}

// Bytes of one file at one place; null if it is not there. Cookies and referrers stay at home.
export async function fetchFrom(base, path, maxLength) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT);
  const changing = /^metadata\/(timestamp|\d+\.root)\.json$/.test(path);
  try {
    const url = base + path.split("/").map(encodeURIComponent).join("/");
    const answer = await fetch(url, { signal: abort.signal, credentials: "omit", referrerPolicy: "no-referrer", cache: changing ? "no-store" : "default" });
    if ([403, 404, 410].includes(answer.status)) return null;
    if (!answer.ok) throw new FetchError(`${base} answers ${answer.status} for ${path}`);
    return await readAll(answer.body.getReader(), maxLength, path);
  } catch (error) {
    // Whoever lacks the next root may say so in a way that browsers keep from us; if the place is away, its timestamp tells.
    if (error instanceof TypeError && path.endsWith(".root.json")) return null;
    throw error instanceof VerifierError ? error : new FetchError(`${base} cannot be reached for ${path}: ${error.message}`);
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

async function readAll(reader, maxLength, path) {
  const parts = [];
  for (let length = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return concat(...parts);
    length += value.length;
    refuted(length > maxLength, `${path} is longer than ${maxLength} bytes`);
    parts.push(value);
  }
}

// Mirrors' addresses, as the signed list has them.
function parseMirrors(data) {
  const { format, mirrors } = Object(parseJson(data, MIRRORS_PATH));
  const proper = (url) => typeof url === "string" && /^https?:\/\/[^\s?#]+\/$/.test(url);
  malformed(format !== "terbit-mirrors-1" || !Array.isArray(mirrors) || !mirrors.every(proper), `${MIRRORS_PATH} is no list of mirrors`);
  return mirrors.slice(0, MAX_MIRRORS);
}

// A site as it was found to be. `base`: which place had its newest metadata, null for what we knew ourselves; `log`: as checkLog says;
// `problems`: [{base, code, message}] of the places that did not stand the check.
class Release {
  constructor(bases, get, problems) {
    Object.assign(this, { bases, get, problems, sources: new Map() });
  }

  async check(base, store, now, tolerant) {
    this.base = base;
    const fetchHere = (path, cap) => (base === OWN ? ownFile(store, path) : this.get(base, path, cap));
    this.client = new Client({ fetch: fetchHere, fetchAny: (...file) => this.fetchAny(...file), store, now, tolerant });
    await this.client.refresh();
    this.log = await checkLog(this.client, store, fetchHere);
    const mirrors = await this.client.keep(MIRRORS_PATH);
    if (mirrors) this.bases = [this.bases[0], ...parseMirrors(mirrors)];
  }

  get order() {
    return [...new Set([this.base, ...this.bases])].filter((base) => base !== OWN);
  }

  // A file that passes `check`, from the first place that has it.
  async fetchAny(path, cap, check) {
    let last = new FetchError(`no place has ${path}`);
    for (const base of this.order) {
      try {
        const data = await this.get(base, path, cap);
        refuted(!data, `${path} is missing at ${base}, though signed`);
        await check(data);
        this.sources.set(path, base);
        return data;
      } catch (error) {
        this.note(base, error);
        if (!(last instanceof VerificationError)) last = error;
      }
    }
    throw last;
  }

  note(base, error) {
    if (!(error instanceof VerifierError)) throw error;
    if (!this.problems.some((one) => one.base === base && one.code === error.code)) this.problems.push({ base, code: error.code, message: error.message });
  }

  // The verified bytes of a TUF target, what is signed about it, and which place had it; null if no role lists the path. `kept`: bytes that may be these.
  async read(path, kept) {
    const target = await this.client.find(path);
    if (!target) return null;
    const fits = kept && (await checkBytes(kept, target, path).then(() => true, () => false));
    return { target, data: fits ? kept : await this.client.fetchTarget(target), source: this.sources.get(this.client.objectPath(target)) ?? null };
  }
}

// Trust on first use: the first root that this browser sees here leads to all later ones. Nothing better is to be had from within a page.
export async function trustFirstRoot(origin, store, get = fetchFrom) {
  if (store.has("root")) return;
  const root = await get(origin, "metadata/1.root.json", MAX_ROOT);
  if (!root) throw new FetchError("metadata/1.root.json is missing");
  store.set("root", root);
}

// The newest release that the site at `origin`, one of its mirrors, or our own memory shows, as a Release. `store` is a Map: it holds "root",
// and takes what was verified only once all of it was. Without any, the error of the origin. `get` as fetchFrom.
export async function checkSite(origin, store, now, get = fetchFrom) {
  const bases = [origin, ...(store.has(MIRRORS_PATH) ? parseMirrors(store.get(MIRRORS_PATH)) : [])];
  const problems = [];
  const places = store.has("snapshot") ? [...bases, OWN] : bases;
  let first;
  // Signed but too old is better than nothing, and only if there is nothing better; whoever shows it must say so.
  for (const tolerant of [false, true]) {
    for (const base of places) {
      const staged = new Map(store);
      const release = new Release(bases, get, problems);
      try {
        await release.check(base, staged, now, tolerant);
        for (const [name, data] of staged) store.set(name, data);
        release.client.store = store;
        return release;
      } catch (error) {
        release.note(base, error);
        first ??= error;
      }
    }
    if (!problems.some(({ code }) => code === "stale")) break;
  }
  throw first;
}
