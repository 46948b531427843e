// The service worker: what a page of this election shows was verified here first. It answers for every path that a signed list may name;
// metadata, objects, log and packages, which verify by themselves, go their own way.

import { headersFor } from "./headers.js";
import { MAX_SHOWN_FILE } from "./limits.js";
import { notice } from "./notice.js";
import { outcomeOf, uncheckedOutcome } from "./outcome.js";
import { checkSite, trustFirstRoot } from "./site.js";
import { checkBytes } from "./tuf.js";

const STATE = "terbit-state";
const PAGES = "terbit-pages";
const FRESH = 20_000;
const KEPT = 600;
const KEPT_FILE = 1_000_000;
const BESIDE = /^(metadata|targets|log|packages)\/|^(latest\.json|sw\.js)$|\.minisig$/;
const ALWAYS = ["index.html"];

// What was trusted last, by role, in memory and on disk.
class Store extends Map {
  saved = new Map();

  static async open() {
    const store = new Store();
    const cache = await caches.open(STATE);
    for (const request of await cache.keys()) {
      const name = new URL(request.url).searchParams.get("state");
      if (name && request.url.startsWith(scope())) store.set(name, new Uint8Array(await (await cache.match(request)).arrayBuffer()));
    }
    store.saved = new Map(store);
    return store;
  }

  // What a full disk does not take stays in memory, and is tried again.
  async save() {
    const cache = await caches.open(STATE);
    for (const [name, data] of this) {
      if (this.saved.get(name) === data) continue;
      try {
        await cache.put(`${scope()}?state=${encodeURIComponent(name)}`, new Response(data));
        this.saved.set(name, data);
      } catch {
        continue;
      }
    }
  }
}

const scope = () => self.registration.scope;

let opened;
// { promise, time } of the newest check.
let current;

async function check() {
  opened ??= Store.open();
  const store = await opened.catch((error) => {
    opened = undefined;
    throw error;
  });
  await trustFirstRoot(scope(), store);
  const found = await checkSite(scope(), store, Date.now());
  await store.save();
  return found;
}

// The site as it was found within the last seconds.
function release() {
  if (!current || Date.now() - current.time > FRESH) {
    const mine = (current = { promise: check(), time: Date.now() });
    mine.promise.catch(() => current === mine && (current = undefined));
  }
  return current.promise;
}

async function keptBytes(path) {
  const answer = await (await caches.open(PAGES)).match(scope() + path);
  return answer && { data: new Uint8Array(await answer.arrayBuffer()), release: Number(answer.headers.get("x-terbit-release")) };
}

// A full disk keeps no page from being shown.
async function keep(path, data, number) {
  if (data.length > KEPT_FILE) return;
  try {
    const cache = await caches.open(PAGES);
    await cache.put(scope() + path, new Response(data, { headers: { "x-terbit-release": String(number) } }));
    const keys = await cache.keys();
    for (const old of keys.slice(0, Math.max(0, keys.length - KEPT))) await cache.delete(old);
  } catch {
    return;
  }
}

// {data, outcome} of a path; data is null where nothing may be shown as checked.
async function resolve(path) {
  const kept = await keptBytes(path);
  try {
    const found = await release();
    const read = await found.read(path, kept?.data);
    if (read && read.data !== kept?.data) await keep(path, read.data, found.client.release);
    await (await opened).save();
    return { data: read?.data ?? null, outcome: outcomeOf(found, scope(), path, read) };
  } catch (error) {
    const outcome = uncheckedOutcome(path, error);
    if (!kept) return { data: null, outcome };
    return { data: kept.data, outcome: { ...outcome, state: "kept", release: kept.release } };
  }
}

// What pages were shown, for when they ask.
const outcomes = new Map();

async function answer(path) {
  const { data, outcome } = await resolve(path);
  outcomes.set(path, outcome);
  const page = /\.html$/.test(path);
  if (data) return new Response(data, { headers: headersFor(path) });
  const status = outcome.state === "absent" ? 404 : 503;
  return new Response(page ? notice(outcome) : `${outcome.state}\n`, { status, headers: headersFor(page ? path : "notice.txt") });
}

// A request's path in the election; undefined for what is not in it.
function pathOf(request) {
  const url = new URL(request.url);
  const address = url.origin + url.pathname;
  if (request.method !== "GET" || !address.startsWith(scope())) return undefined;
  const path = address.slice(scope().length).replace(/^$|\/$/, "$&index.html");
  try {
    return decodeURIComponent(path);
  } catch {
    // Nothing signed is spelt like that.
    return path;
  }
}

// What nobody checked here goes through as bytes or text: it cannot pass for a page of this site.
async function passOn(request, path) {
  if (request.mode !== "navigate") return fetch(request);
  const { body, status } = await fetch(request);
  return new Response(body, { status, headers: headersFor(path, false) });
}

// Large files are for programs, and terbit-verify checks them.
const tooLarge = async (path) => (await (await release()).client.find(path))?.length > MAX_SHOWN_FILE;

async function respond(request, path) {
  // What a page shows of a package, it names by its hash: within a checked page nothing is seen but what was signed.
  const sha256 = new URL(request.url).searchParams.get("sha256");
  if (sha256) {
    const found = await (await release()).fetchAny(path, MAX_SHOWN_FILE, (data) => checkBytes(data, { hashes: { sha256 } }, path));
    return new Response(found, { headers: headersFor(path, false) });
  }
  const beside = BESIDE.test(path) || (request.mode === "navigate" && (await tooLarge(path).catch(() => false)));
  return beside ? passOn(request, path) : answer(path);
}

async function keepAll(paths) {
  for (const path of paths) await resolve(path);
}

async function install() {
  await release();
  // Who cannot remember the first root would trust another one each time.
  if (!(await opened).saved.has("root")) throw Error("full");
  await keepAll(ALWAYS);
  await self.skipWaiting();
}

// A page asks { path } and is told the outcome; { keep: [paths] } asks for files to be there offline.
async function tell({ path, keep: paths }, port) {
  if (paths) await keepAll(paths.filter((one) => typeof one === "string").slice(0, KEPT));
  const outcome = path === undefined ? null : (outcomes.get(path) ?? (await resolve(path)).outcome);
  port.postMessage(outcome);
}

export function startWorker() {
  self.addEventListener("install", (event) => event.waitUntil(install()));
  self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
  self.addEventListener("message", (event) => event.waitUntil(tell(Object(event.data), event.ports[0])));
  self.addEventListener("fetch", (event) => {
    const path = pathOf(event.request);
    if (path !== undefined) event.respondWith(respond(event.request, path));
  });
}
