// Signed notes, verifier keys, checkpoints and cosignatures, each in one spelling only (C2SP signed-note, tlog-checkpoint, tlog-cosignature).

import { malformed, refuted } from "./errors.js";
import { concat, fromBase64, hex, text, utf8 } from "./bytes.js";
import { verifyEd25519 } from "./ed25519.js";
import { sha256 } from "./hash.js";
import { MAX_CHECKPOINT_EXTENSIONS, MAX_KEY_NAME, MAX_NOTE, MAX_NOTE_SIGNATURES, MAX_VERIFIER_KEY } from "./limits.js";

export const ED25519 = 1;
export const COSIGNATURE_V1 = 4;
const DASH = "— ";
const NO_NAME = /^$|[+\x00-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

export const MOST = 2n ** 63n;

// An integer from 0 to 2^63 - 1, as BigInt.
export function decimal(spelt, what) {
  malformed(!/^(0|[1-9][0-9]{0,18})$/.test(spelt) || BigInt(spelt) >= MOST, `${what} is no integer from 0 to 2^63 - 1`);
  return BigInt(spelt);
}

// UTF-8 of at most `cap` bytes without control characters other than LF.
export function lines(data, cap, what) {
  malformed(data.length > cap, `${what} is longer than ${cap} bytes`);
  const whole = text(data, what);
  malformed(/[\x00-\x09\x0b-\x1f]/.test(whole), `${what} has control characters`);
  return whole;
}

function checkName(name) {
  malformed(NO_NAME.test(name) || utf8(name).length > MAX_KEY_NAME, "a key has no proper name");
}

// {name, kind, key, id}; keys of types that we cannot verify are read, and never count.
export async function parseVerifierKey(spelt) {
  const [name, id, ...rest] = spelt.split("+");
  malformed(spelt.length > MAX_VERIFIER_KEY || !rest.length, "a verifier key is <name>+<8 hex digits>+<base64>");
  const raw = fromBase64(rest.join("+"), "the verifier key");
  checkName(name);
  const [kind, key] = [raw[0], raw.subarray(1)];
  malformed(!key.length || ([ED25519, COSIGNATURE_V1].includes(kind) && key.length !== 32), `the key of ${name} has ${key.length} bytes`);
  malformed(hex((await sha256(concat(utf8(`${name}\n`), raw))).subarray(0, 4)) !== id, `the key ID of ${name} is not that of its key`);
  return { name, kind, key, id };
}

function parseSignature(line) {
  const [name, spelt, ...more] = line.slice(DASH.length).split(" ");
  malformed(!line.startsWith(DASH) || spelt === undefined || more.length, "a signature line is an em dash, a name and base64");
  checkName(name);
  const raw = fromBase64(spelt, "a note's signature");
  malformed(raw.length < 5, `the signature of ${name} is too short`);
  return { name, id: hex(raw.subarray(0, 4)), signature: raw.subarray(4) };
}

// {text, signatures}; nothing is verified.
export function parseNote(data) {
  const whole = lines(data, MAX_NOTE, "the note");
  const end = whole.lastIndexOf("\n\n");
  malformed(end < 0 || !whole.endsWith("\n") || whole.endsWith("\n\n"), "a note is a text, an empty line and signature lines");
  const signatures = whole.slice(end + 2, -1).split("\n").map(parseSignature);
  malformed(signatures.length > MAX_NOTE_SIGNATURES, "a note has too many signatures");
  return { text: whole.slice(0, end + 1), signatures };
}

const linesOf = (note, key) => note.signatures.filter(({ name, id }) => name === key.name && id === key.id);

async function checkSignature(key, message, signature) {
  refuted(!(await verifyEd25519(key.key, signature, utf8(message))), `a signature by ${key.name} does not hold`);
}

// Whether `key` signed the text. A line of its that does not hold spoils the whole note.
export async function signedBy(note, key) {
  const found = key.kind === ED25519 ? linesOf(note, key) : [];
  for (const { signature } of found) await checkSignature(key, note.text, signature);
  return found.length > 0;
}

// A checkpoint's text: {origin, size, root, extensions}, size as BigInt.
export function parseHead(head) {
  const [origin, size, root, ...rest] = head.split("\n");
  const extensions = rest.slice(0, -1);
  malformed(!rest.length || rest.at(-1) || !origin || extensions.includes(""), "a checkpoint is origin, size and root hash, each on a line");
  malformed(utf8(origin).length > MAX_KEY_NAME || extensions.length > MAX_CHECKPOINT_EXTENSIONS, "a checkpoint is too long");
  return { origin, size: decimal(size, "a checkpoint's size"), root: fromBase64(root, "a checkpoint's root hash", 32), extensions };
}

// A checkpoint file: its head, with `text` and `signatures`. Nothing is verified.
export function parseCheckpoint(data) {
  const note = parseNote(data);
  return { ...note, ...parseHead(note.text) };
}

// Returns if the log that `key` names signed this checkpoint of its own.
export async function checkLogSignature(checkpoint, key) {
  refuted(checkpoint.origin !== key.name, `the checkpoint is of the log ${checkpoint.origin}, not of ${key.name}`);
  refuted(!(await signedBy(checkpoint, key)), `the checkpoint is not signed by the key of ${key.name}`);
}

// When `key` last cosigned (Unix seconds, as the witness says); null if it did not. A line of its that does not hold spoils the checkpoint.
export async function cosignedAt(checkpoint, key) {
  let latest = null;
  if (key.kind !== COSIGNATURE_V1) return latest;
  for (const { signature } of linesOf(checkpoint, key)) {
    refuted(signature.length <= 8, `a cosignature by ${key.name} is too short`);
    const time = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
    refuted(time >= MOST, `a cosignature by ${key.name} has no proper time`);
    await checkSignature(key, `cosignature/v1\ntime ${time}\n${checkpoint.text}`, signature.subarray(8));
    if (latest === null || time > latest) latest = time;
  }
  return latest === null ? null : Number(latest);
}
