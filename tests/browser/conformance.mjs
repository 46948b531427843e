#!/usr/bin/env node
// The client under test of the public tuf-conformance suite (its CLIENT-CLI.md), over the browser's verifier: its modules, or the file that TERBIT_CHECKER names.
// The suite also signs with ECDSA and RSA, which Terbit never does: those are verified here, by the same WebCrypto.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { concat, fromHex, verifyEd25519, FetchError, VerificationError, Client, checkBytes } = await import(process.env.TERBIT_CHECKER ?? "./checker.mjs");

const options = Object.fromEntries(["metadata-url", "metadata-dir", "target-dir", "target-base-url"].map((name) => [name, { type: "string" }]));
const { values, positionals } = parseArgs({ allowPositionals: true, options: { ...options, "target-name": { type: "string", multiple: true } } });
const [command, trustedRoot] = positionals;
const asFile = (name) => encodeURIComponent(name).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

// A Map's four methods over the suite's folder.
const store = {
  file: (name) => join(values["metadata-dir"], `${asFile(name)}.json`),
  get: (name) => (existsSync(store.file(name)) ? readFileSync(store.file(name)) : undefined),
  set: (name, data) => writeFileSync(store.file(name), data),
  delete: (name) => rmSync(store.file(name), { force: true }),
};

async function fetchBytes(path, maxLength) {
  const [folder] = path.split("/", 1);
  const base = folder === "metadata" ? values["metadata-url"] : values["target-base-url"];
  const answer = await fetch(base.replace(/\/?$/, "/") + path.slice(folder.length + 1));
  if (answer.status === 404 || answer.status === 403) return null;
  if (!answer.ok) throw new FetchError(`HTTP ${answer.status}`);
  const parts = [];
  let length = 0;
  for await (const part of answer.body) {
    length += part.length;
    if (length > maxLength) throw new VerificationError(`${path} is too long`);
    parts.push(part);
  }
  return concat(...parts);
}

const pem = (text) => Buffer.from(text.replace(/-----[^-]+-----|\s/g, ""), "base64");

// ECDSA signatures are ASN.1 here, and two numbers of 32 bytes for WebCrypto.
function rawEcdsa(der) {
  const number = (at) => ({ end: at + 2 + der[at + 1], value: der.subarray(at + 2, at + 2 + der[at + 1]) });
  const r = number(2);
  const s = number(r.end);
  return concat(...[r.value, s.value].map((one) => Buffer.concat([Buffer.alloc(32), one]).subarray(-32)));
}

async function verify({ scheme, keyval }, signature, message) {
  const bytes = fromHex(signature, "a signature");
  if (scheme === "ed25519") return verifyEd25519(fromHex(keyval.public, "a key"), bytes, message);
  const algorithm = { "ecdsa-sha2-nistp256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }, "rsassa-pss-sha256": { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 } }[scheme];
  if (!algorithm) return false;
  const key = await crypto.subtle.importKey("spki", pem(keyval.public), algorithm, false, ["verify"]);
  return crypto.subtle.verify(algorithm, key, algorithm.name === "ECDSA" ? rawEcdsa(bytes) : bytes, message);
}

async function download(client) {
  for (const name of values["target-name"]) {
    const target = await client.find(name);
    if (!target) throw new VerificationError(`no target ${name}`);
    const file = join(values["target-dir"], asFile(name));
    const known = existsSync(file) && (await checkBytes(readFileSync(file), target, name).then(() => true, () => false));
    if (!known) writeFileSync(file, await client.fetchTarget(target));
  }
}

try {
  if (command === "init") {
    mkdirSync(values["metadata-dir"], { recursive: true });
    writeFileSync(store.file("root"), readFileSync(trustedRoot));
  } else {
    const client = new Client({ fetch: fetchBytes, store, now: Date.now(), stock: true, verify });
    await client.refresh();
    if (command === "download") await download(client);
  }
} catch (error) {
  console.error(`${error.constructor.name}: ${error.message}`);
  process.exit(1);
}
