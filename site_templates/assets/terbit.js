// An unsigned hint that this page has changed since it was loaded: an area's page asks its own JSON, the front page
// latest.json. Pages are complete without it, and nobody should trust it: who verifies takes the release from signed
// metadata. Text goes in by textContent alone, so Trusted Types need no policy.
"use strict";
const hint = document.getElementById("newer");
fetch(hint.dataset.latest, { cache: "no-cache", credentials: "omit" })
  .then((answer) => (answer.ok ? answer.json() : {}))
  .then(({ release }) => {
    if (!Number.isSafeInteger(release) || release <= Number(hint.dataset.release)) return;
    hint.textContent = hint.dataset.text.replace("{release}", String(release));
    hint.hidden = false;
  })
  .catch(() => {});
