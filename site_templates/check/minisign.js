// minisign: public keys and prehashed signatures (https://jedisct1.github.io/minisign/), in the one spelling that stock minisign writes.

import { malformed, refuted } from "./errors.js";
import { blake2b } from "./blake2b.js";
import { concat, fromBase64, hex, text, utf8 } from "./bytes.js";
import { verifyEd25519 } from "./ed25519.js";
import { MAX_MINISIGN, MAX_PUBLIC_KEY } from "./limits.js";

const UNTRUSTED = "untrusted comment: ";
const TRUSTED = "trusted comment: ";
// No signature covers this line, so a mirror could write anything there.
const FIRST_LINE = `${UNTRUSTED}signature from minisign secret key`;

function capped(data, cap, what) {
  malformed(data.length > cap, `${what} has ${data.length} bytes, at most ${cap} are allowed`);
  return text(data, what);
}

// Comments reach screens: no control characters and no direction marks.
function checkPrintable(comment, what) {
  malformed(/[\p{C}\p{Z}]/u.test(comment.replace(/[ \t]/g, "")), `the comment of ${what} has characters that cannot be shown`);
}

// The key id as minisign prints it.
export const keyName = (id) => hex(Uint8Array.from(id).reverse()).replace(/^0+(?=.)/, "").toUpperCase();

// {id, key} of a bare `RW…` line or of the two lines of a `.pub` file.
export function parsePublicKey(data) {
  const what = "the public key";
  const rows = capped(data, MAX_PUBLIC_KEY, what).replace(/\n$/, "").split("\n");
  if (rows.length === 2 && rows[0].startsWith(UNTRUSTED)) checkPrintable(rows.shift(), what);
  malformed(rows.length !== 1, `${what} is one line, or a comment and that line`);
  const raw = fromBase64(rows[0], what, 42);
  malformed(raw[0] !== 0x45 || raw[1] !== 0x64, `${what} is not an Ed25519 key of minisign`);
  return { id: raw.subarray(2, 10), key: raw.subarray(10) };
}

// {id, signature, comment, whole}: `whole` is over the signature and the trusted comment. Nothing is verified.
export function parseSignatureFile(data) {
  const what = "the signature file";
  const rows = capped(data, MAX_MINISIGN, what).split("\n");
  malformed(rows.length !== 5 || rows[4] || rows[0] !== FIRST_LINE || !rows[2].startsWith(TRUSTED), `${what} is not what minisign writes`);
  const raw = fromBase64(rows[1], "the signature", 74);
  malformed(raw[0] !== 0x45 || raw[1] !== 0x44, "the signature is not prehashed Ed25519 (ED)");
  const comment = rows[2].slice(TRUSTED.length);
  checkPrintable(comment, what);
  return { id: raw.subarray(2, 10), signature: raw.subarray(10), comment, whole: fromBase64(rows[3], "the signature of the trusted comment", 64) };
}

// Returns if `publicKey` signed `data` and the trusted comment.
export async function verifyMinisign(publicKey, data, { id, signature, comment, whole }) {
  refuted(hex(id) !== hex(publicKey.id), `signed by key ${keyName(id)}, not by key ${keyName(publicKey.id)}`);
  refuted(!(await verifyEd25519(publicKey.key, signature, blake2b(data))), "the file is not what this key signed");
  refuted(!(await verifyEd25519(publicKey.key, whole, concat(signature, utf8(comment)))), "the trusted comment is not what this key signed");
}

const COMMENT = /^timestamp:(0|[1-9][0-9]{0,11})\tfile:([a-z0-9-]+(?:\/[a-z0-9]{1,21}){1,2}\.json)\telection:([a-z0-9-]+)\trelease:([1-9][0-9]{0,8})\tsha256:([0-9a-f]{64})$/;

// What the trusted comment of a results file binds: {timestamp, file, election, release, sha256}.
export function parseTrustedComment(comment) {
  const found = COMMENT.exec(comment);
  malformed(!found, "the trusted comment is not timestamp, file, election, release and sha256");
  const [, timestamp, file, election, release, sha256] = found;
  return { timestamp: Number(timestamp), file, election, release: Number(release), sha256 };
}
