// Unsigned hints of what is current, from latest.json: whether the page has changed since (then its own results file is asked too), when the next update is due,
// that one is overdue, or that all stands still. Pages are complete without it, and nobody should trust it: who verifies takes the release from signed
// metadata. Texts stand in the page and go in by textContent alone, so Trusted Types need no policy.
"use strict";
(() => {
const place = document.getElementById("latest");
const texts = place.dataset;
const ask = (path) => fetch(path, { cache: "no-cache", credentials: "omit" }).then((answer) => (answer.ok ? answer.json() : {}));
const language = document.documentElement.lang.replace("en", "en-GB");
const parts = { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
const time = (spelt) => new Intl.DateTimeFormat(language, parts).format(new Date(spelt));
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "?");

function say(text, values) {
  place.append(Object.assign(document.createElement("p"), { textContent: fill(text, values) }));
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

tell().catch(() => {});
})();
