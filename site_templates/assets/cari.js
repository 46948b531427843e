// Search by name and code (docs/formats.md, "Search"): asks for a few kilobytes of the static index, and for nothing else. Text goes in by textContent
// alone, so Trusted Types need no policy. Where the checker works, it keeps what was asked for: the search then works offline.
"use strict";
(() => {
const SHOWN = 20;
const SHARDS = 4;
const form = document.querySelector("form[data-cari]");
if (!form) return;
const [input, status, list] = ["input", "p", "ul"].map((name) => form.querySelector(name));
const { cari, pages, none, more, found, similar, failed, title } = form.dataset;
const levels = form.dataset.levels.split("\n");
const kinds = JSON.parse(form.dataset.kinds ?? "{}");
const scope = new URL("../", document.currentScript.src).href;
const asked = new Map();

const fold = (text) => (text.normalize("NFKD").replace(/[^\x00-\x7f]/g, "").toLowerCase().match(/[a-z0-9]+/g) ?? []).join(" ");
const STATION = new RegExp(`\\b(?:tps|${fold(form.dataset.station)}) ?(\\d+)\\b`);
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
function shown(index, code, name, parent, place, path, kind, level) {
  const places = way(index, place);
  const contest = index.contests.find(([, top]) => places.includes(top))?.[0];
  const names = places.filter((at) => at > 0 && index.areas[at][0] !== code).map((at) => index.areas[at][1]);
  return { code, name, beside: parent ? [parent, ...names] : names, contest, path, kind, level: level ?? places.length - 1 };
}

// Names with a word that begins so, or that people shorten so: "jaksel", "sulteng", "ntt" are beginnings of words that follow each other. Long
// words are none such, and would be tried in too many ways.
const shape = (word) => new RegExp(`\\b${[...word].join(word.length > 2 && word.length < 16 ? "(?:\\w* )?" : "")}`);

// The same but for one letter behind the first: another one, one that is missing or too many, two that changed places.
function near(name, word) {
  if (word.length < 4 || name[0] !== word[0]) return name.startsWith(word);
  let at = 1;
  while (at < word.length && word[at] === name[at]) at += 1;
  const [rest, typed] = [name.slice(at), word.slice(at)];
  return [typed.slice(1), typed[1] + typed[0] + typed.slice(2)].some((one) => rest.startsWith(one)) || rest.slice(1).startsWith(typed.slice(1)) || rest.slice(1).startsWith(typed);
}

// Areas with all words in their names or those above them, or with that code; only those with stations, where a station is looked for.
function hits(index, { words, station }, entries, isNear) {
  const tops = index.areas.map(([code, name, , isShard, kind], place) => shown(index, code, name, "", place, `${isShard ? `${named(code)}/` : ""}${named(code)}`, kind));
  const below = entries.map(([code, name, parent, place, level, kind]) => shown(index, code, name, parent, place, `${named(index.areas[place][0])}/${named(code)}`, kind, level));
  const [joined, shapes] = [words.join(""), words.map(shape)];
  const has = (name, word, at) => shapes[at].test(name) || (isNear && name.split(" ").some((part) => near(part, word)));
  const fits = ({ code, name, beside, level }) => {
    if (station && level < levels.length - 1) return false;
    const names = [name, ...beside].map(fold);
    if (words.every((word, at) => names.some((one) => has(one, word, at)))) return true;
    if (isNear && near(names[0].replaceAll(" ", ""), joined)) return true;
    return station ? fold(code) === joined : fold(code).startsWith(words.join(" "));
  };
  const isFirst = ({ code, name }) => fold(name).search(shapes[0]) === 0 || (isNear && near(fold(name), words[0])) || fold(code) === words[0];
  return [...tops, ...below].filter((one) => one.contest && fits(one)).sort((one, other) => isFirst(other) - isFirst(one));
}

// The numbers of the shards in which keys may begin with `text`; none where they are too many.
function shardsOf({ shards }, text) {
  const first = Math.max(0, shards.findLastIndex((start) => start < text));
  let end = Math.min(first + 1, shards.length);
  while (end < shards.length && shards[end].startsWith(text)) end += 1;
  return end - first > SHARDS ? null : Array.from({ length: end - first }, (_, at) => String(first + at));
}

// What may be meant, the likeliest first: all words; a number that tells a station (behind "TPS", as the last word, or the last three digits of a code), and those
// of neighbourhoods, are no names; nor are words that tell a level, which stand in headings alone.
function readings(text, levelWords) {
  if (/^[\d ]+$/.test(text)) {
    const code = text.replaceAll(" ", "");
    return [{ words: [code], station: "" }, { words: [code.slice(0, -3)], station: code.slice(-3) }];
  }
  const names = text.replace(STATION, " ").replace(/\b(rt|rw) ?\d+\b/g, " ");
  const [, before = "", number] = names.match(/^(.+) (\d+) *$/) ?? [];
  const meant = [[text, ""], [names, text.match(STATION)?.[1] ?? ""], [before, number]].flatMap(([some, station]) => {
    const words = some.match(/\S+/g) ?? [];
    return [words, words.filter((word) => !levelWords.includes(word))].map((words) => ({ words, station }));
  });
  return [...new Map(meant.filter(({ words }) => words.length).map((one) => [`${one.words} ${one.station}`, one])).values()];
}

async function search(text) {
  const index = await ask("index");
  const meant = readings(text, index.words);
  let isNarrow = true;
  for (const one of meant) {
    const names = shardsOf(index, one.words[0]) ?? shardsOf(index, one.words.join(" "));
    isNarrow &&= names !== null;
    const every = await searchShards(index, one, names ?? [], false);
    if (every.length) return { every, station: one.station, isNarrow: names !== null, told: found };
  }
  const one = meant.at(-1);
  const names = one.words.filter((word) => word.length > 3).flatMap((word) => shardsOf(index, word.slice(0, 4)) ?? shardsOf(index, word) ?? []);
  const every = await searchShards(index, one, names, true);
  return { every, station: one.station, isNarrow: isNarrow || every.length > 0, told: similar };
}

async function searchShards(index, one, names, isNear) {
  const shards = await Promise.all(names.map(ask));
  const entries = new Map(shards.flatMap((shard) => shard.entries).map((entry) => [entry[0], entry]));
  return hits(index, one, [...entries.values()], isNear);
}

function show({ every, station, isNarrow, told }) {
  const number = station.replace(/^0+/, "");
  list.replaceChildren(...every.slice(0, SHOWN).map(({ code, name, beside, contest, path, kind, level }) => {
    const levelTitle = kinds[kind]?.[level] ?? levels[level];
    const isTold = !levelTitle || fold(levelTitle).split(" ").includes(fold(name.split(" ")[0]));
    const heading = isTold ? name : title.replace(/\{(\w+)\}/g, (_, key) => ({ area: name, level: levelTitle })[key]);
    const link = Object.assign(document.createElement("a"), {
      textContent: number ? `${form.dataset.station} ${number}, ${heading}` : heading,
      href: `${pages}${contest}/${path}.html${number && `#tps-${number}`}`,
    });
    const item = document.createElement("li");
    item.append(link, ` ${beside.join(", ")} (${code})`);
    return item;
  }));
  const first = every.length ? told.replace("{count}", String(every.length)) : isNarrow ? none : "";
  status.textContent = [first, isNarrow && every.length <= SHOWN ? "" : more].filter(Boolean).join(". ");
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
