// Unsigned hints of what is current, from latest.json: whether the page has changed since (then its own results file is asked too), when the next update is due,
// that one is overdue, or that all stands still. Pages are complete without it, and nobody should trust it: who verifies takes the release from signed
// metadata. Texts stand in the page and go in by textContent alone, so Trusted Types need no policy.
"use strict";
(() => {
const place = document.getElementById("latest");
const texts = place.dataset;
const ask = (path) => fetch(path, { cache: "no-cache", credentials: "omit" }).then((answer) => (answer.ok ? answer.json() : {}));
// As the page itself writes times, in its own zone: two clocks on one page would be read as two times.
const { lang, dataset: { zone: timeZone, zoneName } } = document.documentElement;
function time(spelt) {
  const written = (style) => new Date(spelt).toLocaleString(lang.replace("en", "en-GB"), { timeZone, ...style });
  return `${written({ dateStyle: "long" })}${lang === "en" ? "," : ""} ${written({ timeStyle: "short" })} ${zoneName}`;
}
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "?");

function say(text, values) {
  place.append(Object.assign(document.createElement("p"), { className: "banner", textContent: fill(text, values) }));
}

function sayNewer(release) {
  if (Number.isSafeInteger(release) && release > Number(texts.release)) say(texts.newer, { release });
}

async function tell() {
  const { release, expires, frozen } = await ask(texts.latest);
  if (frozen) say(texts.frozen, { since: time(frozen.since), reason: frozen.reason });
  if (expires && new Date(expires) < new Date()) say(texts.overdue, { expires: time(expires) });
  else if (expires) document.getElementById("due").textContent = fill(texts.due, { expires: time(expires) });
  if (texts.own && release > Number(texts.release)) sayNewer((await ask(texts.own)).release);
  else sayNewer(release);
}

// A link may have a station's number otherwise than it is written here ("tps-12" for "012"); on a large village's first page it may be a station of a further one.
function openStation() {
  const number = location.hash.match(/^#tps-0*(\d+)$/)?.[1];
  if (!number || document.getElementById(location.hash.slice(1))) return;
  const own = [...document.querySelectorAll('[id^="tps-"]')].find(({ id }) => id.replace(/^tps-0*/, "") === number);
  const pages = document.querySelector(".stations li:first-child > [aria-current]")?.closest("ul").querySelectorAll("a") ?? [];
  const further = [...pages].find(({ textContent }) => {
    const [first, last = first] = textContent.split("–").map(Number);
    return first <= number && number <= last;
  });
  if (own) location.replace(`#${own.id}`);
  else if (further) location.replace(further.href + location.hash);
}

openStation();
tell().catch(() => {});
})();
