// Search by name and code (docs/formats.md, "Search"): asks for a few kilobytes of the static index, and for nothing else. Text goes in by textContent
// alone, so Trusted Types need no policy. Where the checker works, it keeps what was asked for: the search then works offline.
"use strict";
(() => {
const SHOWN = 20;
const SHARDS = 4;
const form = document.querySelector("form[data-cari]");
if (!form) return;
const [input, status, list] = ["input", "p", "ul"].map((name) => form.querySelector(name));
const { cari, pages, none, more, found, failed, title } = form.dataset;
const levels = form.dataset.levels.split("\n");
const scope = new URL("../", document.currentScript.src).href;
const asked = new Map();

const fold = (text) => (text.normalize("NFKD").replace(/[^\x00-\x7f]/g, "").toLowerCase().match(/[a-z0-9]+/g) ?? []).join(" ");
const named = (code) => code.replace("-", "n");

function ask(name) {
  if (!asked.has(name)) {
    const answer = fetch(`${cari}${name}.json`, { credentials: "omit" }).then((one) => {
      if (!one.ok) throw new Error(`HTTP ${one.status}`);
      navigator.serviceWorker?.controller?.postMessage({ keep: [new URL(`${cari}${name}.json`, location.href).href.slice(scope.length)] });
      return one.json();
    });
    answer.catch(() => asked.delete(name));
    asked.set(name, answer);
  }
  return asked.get(name);
}

// The places of `index.areas` from one up to the root.
function way({ areas }, place) {
  const found = [];
  for (let at = place; at >= 0; at = areas[at][2]) found.push(at);
  return found;
}

// An area as it is shown: `place` is its own or its shard's, `parent` a name between the two. It leads to the page of the first contest that covers it.
function shown(index, code, name, parent, place, path, level) {
  const places = way(index, place);
  const contest = index.contests.find(([, top]) => places.includes(top))?.[0];
  const names = places.filter((at) => at > 0 && index.areas[at][0] !== code).map((at) => index.areas[at][1]);
  return { code, name, beside: parent ? [parent, ...names] : names, contest, path, level: levels[level ?? places.length - 1] };
}

function hits(index, words, entries) {
  const tops = index.areas.map(([code, name, , isShard], place) => shown(index, code, name, "", place, `${isShard ? `${named(code)}/` : ""}${named(code)}`));
  const below = entries.map(([code, name, parent, place, level]) => shown(index, code, name, parent, place, `${named(index.areas[place][0])}/${named(code)}`, level));
  const fits = ({ code, name, beside }) => {
    const text = ` ${fold([name, ...beside].join(" "))}`;
    return words.every((word) => text.includes(` ${word}`)) || fold(code).startsWith(words.join(" "));
  };
  const isFirst = ({ code, name }) => fold(name).startsWith(words[0]) || fold(code) === words[0];
  return [...tops, ...below].filter((one) => one.contest && fits(one)).sort((one, other) => isFirst(other) - isFirst(one));
}

// The numbers of the shards in which keys may begin with `text`; none where they are too many.
function shardsOf({ shards }, text) {
  const first = Math.max(0, shards.findLastIndex((start) => start < text));
  let end = Math.min(first + 1, shards.length);
  while (end < shards.length && shards[end].startsWith(text)) end += 1;
  return end - first > SHARDS ? null : Array.from({ length: end - first }, (_, at) => String(first + at));
}

// By all words; if nothing has them all, without those that tell a level, which stand in headings but in no name.
async function search(text) {
  const all = await searchWords(text.split(" "));
  const { words } = await ask("index");
  const names = text.split(" ").filter((word) => !words.includes(word));
  return all.every.length || !names.length || names.join(" ") === text ? all : searchWords(names);
}

async function searchWords(words) {
  const index = await ask("index");
  const names = shardsOf(index, words[0]) ?? shardsOf(index, words.join(" "));
  const shards = await Promise.all((names ?? []).map(ask));
  const entries = new Map(shards.flatMap((shard) => shard.entries).map((entry) => [entry[0], entry]));
  return { every: hits(index, words, [...entries.values()]), isNarrow: names !== null };
}

function show({ every, isNarrow }) {
  list.replaceChildren(...every.slice(0, SHOWN).map(({ code, name, beside, contest, path, level }) => {
    const textContent = title.replace(/\{(\w+)\}/g, (_, key) => ({ area: name, level })[key]);
    const link = Object.assign(document.createElement("a"), { textContent, href: `${pages}${contest}/${path}.html` });
    const item = document.createElement("li");
    item.append(link, ` ${beside.join(", ")} (${code})`);
    return item;
  }));
  const told = every.length ? found.replace("{count}", String(every.length)) : isNarrow ? none : "";
  status.textContent = [told, isNarrow && every.length <= SHOWN ? "" : more].filter(Boolean).join(". ");
}

let last = "";
let telling = Promise.resolve();
async function changed() {
  const text = fold(input.value);
  if (text === last) return;
  last = text;
  if (!text) {
    list.replaceChildren();
    status.textContent = "";
    return;
  }
  try {
    const answer = await search(text);
    if (text === last) show(answer);
  } catch {
    if (text === last) status.textContent = failed;
  }
}

form.hidden = false;
input.addEventListener("input", () => (telling = changed()));
input.addEventListener("focus", () => ask("index").catch(() => {}), { once: true });
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await telling;
  list.querySelector("a")?.click();
});
form.addEventListener("keydown", (event) => {
  const stops = [input, ...list.querySelectorAll("a")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const next = step && stops[stops.indexOf(document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
});
})();
