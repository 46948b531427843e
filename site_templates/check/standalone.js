// The checker in one file: a results file, its signature, a public key; and, if they are there, the log's proof of its release. No network.

import { hex, utf8 } from "./bytes.js";
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

// The key: the one that was typed, or the dropped one if its file has the typed SHA-256.
async function readKey(typed, file) {
  const fingerprint = typed.replace(/\s/g, "").toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(fingerprint)) return parsePublicKey(utf8(typed.trim()));
  malformed(!file, "the fingerprint needs the file minisign.pub beside it");
  refuted(hex(await sha256(file.data)) !== fingerprint, "minisign.pub is not the key with this fingerprint");
  return parsePublicKey(file.data);
}

// The signature holds, and says what the file says of itself.
async function checkResults({ data }, { data: signed }, key) {
  const signature = parseSignatureFile(signed);
  await verifyMinisign(key, data, signature);
  const comment = parseTrustedComment(signature.comment);
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

// {ok, facts, message} of the files that are there; undefined while data, signature or key is missing.
export async function checkFiles(files, typed) {
  const { data, signature, key, proof, policy, snapshot, role } = Object.fromEntries(files.map((file) => [kindOf(file.name), file]));
  if (!data || !signature || !(typed.trim() || key)) return undefined;
  try {
    const facts = await checkResults(data, signature, typed.trim() ? await readKey(typed, key) : parsePublicKey(key.data));
    facts.pinned = Boolean(typed.trim());
    if (proof && policy && snapshot) Object.assign(facts, await checkProof(snapshot, proof, policy));
    if (facts.logged && role) Object.assign(facts, await checkListed(snapshot, role, data.data, facts.file));
    return { ok: true, facts };
  } catch (error) {
    if (!(error instanceof VerifierError)) throw error;
    return { ok: false, message: error.message };
  }
}

const byId = (id) => document.getElementById(id);

async function show(files) {
  byId("names").textContent = [...files.keys()].join(", ");
  const found = await checkFiles([...files].map(([name, data]) => ({ name, data })), byId("key").value);
  const box = byId("outcome");
  box.dataset.state = found ? (found.ok ? "ok" : "bad") : "waiting";
  for (const state of ["waiting", "ok", "bad"]) byId(state).hidden = box.dataset.state !== state;
  byId("reason").textContent = found?.message ?? "";
  const facts = found?.facts ?? {};
  for (const fact of document.querySelectorAll("[data-fact]")) {
    const value = facts[fact.dataset.fact];
    fact.textContent = fact.dataset.fact === "timestamp" && value ? new Date(1000 * value).toISOString() : String(value ?? "");
  }
  byId("unpinned").hidden = !found?.ok || facts.pinned;
  byId("log").hidden = !facts.logged;
  byId("listed").hidden = !facts.listed;
}

if (globalThis.document) {
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
