// The checker in one file: a results file, its signature, a public key; and, if they are there, the log's proof of its release. No network.

import { hex, text, utf8 } from "./bytes.js";
import { VerifierError, malformed, refuted } from "./errors.js";
import { sha256 } from "./hash.js";
import { parseJson } from "./json.js";
import { releaseEntry } from "./log.js";
import { keyName, parsePublicKey, parseSignatureFile, parseTrustedComment, verifyMinisign } from "./minisign.js";
import { checkPolicy, parsePolicy } from "./policy.js";
import { checkEntry, parseProof } from "./tlog.js";

// What a file is for, by its name; a results file is any other JSON.
const KINDS = [
  ["signature", /\.minisig$/],
  ["key", /\.pub$/],
  ["proof", /\.tlog-proof$/],
  ["policy", /policy\.txt$/],
  ["snapshot", /^\d+\.snapshot\.json$/],
  ["role", /^\d+\.[a-z0-9-]+\.json$/],
  ["data", /\.json$/],
];

const kindOf = (name) => KINDS.find(([, pattern]) => pattern.test(name))?.[0];

const asFingerprint = (typed) => /^[0-9a-f]{64}$/.exec(typed.replace(/\s/g, "").toLowerCase())?.[0];

// What there is to wait for: "data", "signature", "key"; "fingerprinted" is the file that a typed fingerprint is of. Half a key is "unfinished": it says nothing about the file.
function missing({ data, signature, key }, typed) {
  const wanted = [!data && "data", !signature && "signature", asFingerprint(typed) && !key && "fingerprinted", !typed && !key && "key"].filter(Boolean);
  try {
    if (!asFingerprint(typed) && (typed || key)) parsePublicKey(typed ? utf8(typed) : key.data);
    return wanted;
  } catch (error) {
    if (!(error instanceof VerifierError)) throw error;
    return [...wanted, "unfinished"];
  }
}

// The key: the one that was typed, or the dropped one if its file has the typed SHA-256.
async function readKey(typed, file) {
  const fingerprint = asFingerprint(typed);
  if (!fingerprint) return parsePublicKey(typed ? utf8(typed) : file.data);
  refuted(hex(await sha256(file.data)) !== fingerprint, "minisign.pub is not the key with this fingerprint");
  return parsePublicKey(file.data);
}

// The signature holds, and says what the file says of itself.
async function checkResults({ data }, { data: signed }, key) {
  const signature = parseSignatureFile(signed);
  const comment = parseTrustedComment(signature.comment);
  await verifyMinisign(key, data, signature).catch((error) => {
    refuted(!text(data, "the results file").includes(`"path":"${comment.file}"`), `the signature is for the file ${comment.file}`);
    throw error;
  });
  const { format, election, path, release } = Object(parseJson(data, "the results file"));
  malformed(format !== "terbit-results-1", "the file is signed, but is no results file");
  const written = { file: path, election, release, sha256: hex(await sha256(data)) };
  for (const [name, value] of Object.entries(written)) {
    refuted(comment[name] !== value, `the signature is for ${name} ${comment[name]}, but the file says ${value}`);
  }
  return { ...comment, key: keyName(key.id) };
}

// The snapshot of a release is in the log, with enough witnesses.
async function checkProof({ name, data }, { data: proofData }, { data: policyData }) {
  const policy = await parsePolicy(policyData);
  const proof = parseProof(proofData);
  const times = await checkPolicy(policy, proof.checkpoint);
  await checkEntry(proof, await releaseEntry(name.split(".")[0], data));
  return { logged: Number(name.split(".")[0]), origin: proof.checkpoint.origin, size: String(proof.checkpoint.size), seen: Object.keys(times).length, witnesses: policy.witnesses.length };
}

// The snapshot's role lists the results file: so it is part of that release.
async function checkListed(snapshot, role, data, path) {
  const name = role.name.replace(/^\d+\./, "");
  const promised = parseJson(snapshot.data, "the snapshot").signed?.meta?.[name];
  refuted(promised?.hashes?.sha256 !== hex(await sha256(role.data)), `${role.name} is not of this snapshot`);
  const listed = parseJson(role.data, role.name).signed?.targets?.[path];
  refuted(listed?.hashes?.sha256 !== hex(await sha256(data)), `${role.name} does not list this file`);
  return { listed: true };
}

// Why it does not hold, in the reader's words for what is met most; by the beginning of the message.
const REASONS = [
  ["signed by key", "Berkas ini ditandatangani dengan kunci lain. Periksa dulu apakah kuncinya salah ketik."],
  ["the file is not", "Berkasnya telah diubah, atau kunci yang diketik keliru. Periksa dulu ketikan kuncinya."],
  ["the signature is for", "Tanda tangan ini milik berkas lain: ambil yang namanya sama dengan berkas hasil."],
  ["minisign.pub", "Berkas minisign.pub ini bukan kunci dengan sidik yang diketik."],
  ["", "Berkas, tanda tangan, atau bukti lognya rusak atau tidak cocok."],
];

// {waiting} while something is missing, else {ok, facts, message, reason} of the files that are there.
export async function checkFiles(files, field) {
  const typed = field.trim();
  const kinds = Object.fromEntries(files.map((file) => [kindOf(file.name), file]));
  const { data, signature, key, proof, policy, snapshot, role } = kinds;
  const waiting = missing(kinds, typed);
  if (waiting.length) return { waiting };
  try {
    const facts = await checkResults(data, signature, await readKey(typed, key));
    facts.pinned = Boolean(typed);
    if (proof && policy && snapshot) Object.assign(facts, await checkProof(snapshot, proof, policy));
    if (facts.logged && role) Object.assign(facts, await checkListed(snapshot, role, data.data, facts.file));
    return { ok: true, facts };
  } catch (error) {
    if (!(error instanceof VerifierError)) throw error;
    return { ok: false, message: error.message, reason: REASONS.find(([start]) => error.message.startsWith(start))[1] };
  }
}

const byId = (id) => document.getElementById(id);

async function show(files) {
  byId("names").textContent = [...files.keys()].join(", ");
  const found = await checkFiles([...files].map(([name, data]) => ({ name, data })), byId("key").value);
  const box = byId("outcome");
  box.dataset.state = found.waiting ? "waiting" : found.ok ? "ok" : "bad";
  for (const state of ["waiting", "ok", "bad"]) byId(state).hidden = box.dataset.state !== state;
  for (const one of document.querySelectorAll("[data-missing]")) one.hidden = !found.waiting?.includes(one.dataset.missing);
  byId("reason").textContent = found.reason ?? "";
  byId("message").textContent = found.message ?? "";
  const facts = found.facts ?? {};
  for (const fact of document.querySelectorAll("[data-fact]")) {
    const value = facts[fact.dataset.fact];
    fact.textContent = fact.dataset.fact === "timestamp" && value ? new Date(1000 * value).toISOString() : String(value ?? "");
  }
  byId("unpinned").hidden = !found.ok || facts.pinned;
  byId("log").hidden = !facts.logged;
  byId("listed").hidden = !facts.listed;
}

if (globalThis.document) {
  byId("asleep").hidden = true;
  const files = new Map();
  const take = async (list) => {
    for (const file of list) {
      const kind = kindOf(file.name);
      for (const name of files.keys()) if (kindOf(name) === kind) files.delete(name);
      if (kind) files.set(file.name, new Uint8Array(await file.arrayBuffer()));
    }
    await show(files);
  };
  byId("files").addEventListener("change", ({ target }) => take(target.files));
  byId("key").addEventListener("input", () => show(files));
  // Where the browser reads QR codes by itself, the key need not be typed.
  byId("camera").hidden = !globalThis.BarcodeDetector;
  byId("photo").addEventListener("change", async ({ target }) => {
    const [code] = await new BarcodeDetector({ formats: ["qr_code"] }).detect(await createImageBitmap(target.files[0])).catch(() => []);
    byId("no-code").hidden = Boolean(code);
    if (code) byId("key").value = code.rawValue;
    await show(files);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files);
  });
}
