// What a reader is told about a page, and about the release that it belongs to; both languages' words for it stand in periksa.js.

import { VerifierError } from "./errors.js";

// What of the site was found to hold: who signed, who witnessed, until when it counts.
function described({ base, log, client }, roles) {
  const signers = ["root", "timestamp", "snapshot", ...roles].map((role) => ({ role, ...client.signers.get(role) }));
  return { release: client.release, expires: client.timestamp.expires, base, log, signers };
}

// `state` is one of: checked (fresh, signed, logged, from the origin or kept from it), mirror (the same, from elsewhere, since the origin failed),
// own (what we knew ourselves still counts, and nothing newer can be had), stale (signed, but past its expiry), kept (verified in an earlier
// release, as `release` says), absent (no signed list has it), unchecked (nothing could be verified: `code` says why).
export function outcomeOf(release, origin, path, read) {
  const failed = release.problems.find(({ base }) => base === origin);
  const elsewhere = [release.base, ...release.sources.values()].find((base) => base && base !== origin);
  const fresh = release.base === null ? "own" : failed && elsewhere ? "mirror" : "checked";
  const state = !read ? "absent" : release.client.expired.length ? "stale" : fresh;
  return { state, path, code: failed?.code ?? null, source: elsewhere ?? release.base, ...described(release, read?.target.roles ?? []) };
}

export function uncheckedOutcome(path, error) {
  if (!(error instanceof VerifierError)) throw error;
  return { state: "unchecked", path, code: error.code, message: error.message };
}
