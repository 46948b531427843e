// Runs the shared vectors of tests/vectors on the browser's verifier: its modules, or the file that TERBIT_CHECKER names. Prints one JSON object: "<file>/<part>/<name>" to
// "success", "signed", "unsigned" or the class of failure.

import { readFileSync } from "node:fs";

const { base64, fromBase64, fromHex, hex, utf8, VerificationError, VerifierError, canonicalJson, parseJson, Client, ...parts } = await import(
  process.env.TERBIT_CHECKER ?? "./checker.mjs"
);
const { parsePublicKey, parseSignatureFile, verifyMinisign, checkLogSignature, cosignedAt, parseCheckpoint, parseNote, parseVerifierKey, signedBy } = parts;
const { checkPolicy, holds, parsePolicy, checkEntry, consistencyProof, parseProof, verifyConsistency, verifyInclusion } = parts;

// Old browsers, and pages over plain HTTP, have no WebCrypto.
if (process.env.TERBIT_WITHOUT_WEBCRYPTO) Object.defineProperty(globalThis, "crypto", { value: {} });

const results = {};

// Numbers beyond 2^53 are read as text: JSON.parse would round them.
const read = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8").replace(/(": |^ *)(\d{16,})(,?)$/gm, '$1"$2"$3'));
const hashes = (list) => list.map((one) => fromHex(one, "a hash"));

function expect(found, wanted, what) {
  if (String(found) !== String(wanted)) throw new Error(`${what} is ${found}, not ${wanted}`);
}

async function run(name, check) {
  try {
    results[name] = (await check()) ?? "success";
  } catch (error) {
    results[name] = error instanceof VerifierError ? error.code : `${error.stack}`;
  }
}

async function all(file, part, check) {
  const vectors = read(file);
  for (const vector of part ? vectors[part] : vectors) await run([file, ...(part ? [part] : []), vector.name].join("/"), () => check(vector));
}

const decode = (vector, name) => fromBase64(vector[`${name}_base64`], name);

await all("json", null, (vector) => {
  const value = parseJson(decode(vector, "data"), "it");
  if (vector.expect === "success") expect(base64(canonicalJson(value)), vector.canonical_base64, "canonical JSON");
});

for (const name of process.argv.slice(2)) {
  await run(`minisign/${name}`, async () => {
    const vector = read(`minisign/${name}`);
    await verifyMinisign(parsePublicKey(utf8(vector.public_key)), decode(vector, "data"), parseSignatureFile(decode(vector, "signature")));
  });
}

await all("tlog/note", "notes", async (vector) => {
  const note = parseNote(decode(vector, "note"));
  let signed = false;
  for (const key of vector.vkeys) signed = signed || (await signedBy(note, await parseVerifierKey(key)));
  return signed ? "signed" : "unsigned";
});

await all("tlog/note", "vkeys", async (vector) => {
  const key = await parseVerifierKey(vector.vkey);
  expect([key.name, key.kind, hex(key.key)], [vector.key_name, vector.type, vector.key_hex], "the key");
});

await all("tlog/checkpoint", null, async (vector) => {
  const { origin, size, root, extensions, ...rest } = parseCheckpoint(decode(vector, "checkpoint"));
  await checkLogSignature({ origin, ...rest }, await parseVerifierKey(vector.vkey));
  expect([origin, size, hex(root), extensions], [vector.origin, vector.size, vector.root_hex, vector.extensions], "the checkpoint");
});

await all("tlog/cosignature", null, async (vector) => {
  expect(await cosignedAt(parseCheckpoint(decode(vector, "checkpoint")), await parseVerifierKey(vector.vkey)), vector.time, "the time");
});

await all("tlog/policy", null, async (vector) => {
  const policy = await parsePolicy(decode(vector, "policy"));
  for (const quorum of vector.quorums) expect(holds(policy, quorum.witnessed), quorum.holds, "the quorum");
});

await all("tlog/proof", null, async (vector) => {
  const policy = await parsePolicy(utf8(vector.policy));
  const proof = parseProof(decode(vector, "proof"));
  await checkEntry(proof, decode(vector, "entry"));
  expect(JSON.stringify(await checkPolicy(policy, proof.checkpoint)), JSON.stringify(vector.witnesses), "the witnesses");
});

await all("tlog/tree", "inclusion", (vector) =>
  verifyInclusion(fromHex(vector.leaf_hex, "leaf"), BigInt(vector.index), BigInt(vector.size), fromHex(vector.root_hex, "root"), hashes(vector.proof_hex)),
);

await all("tlog/tree", "consistency", (vector) =>
  verifyConsistency(BigInt(vector.old_size), fromHex(vector.old_root_hex, "root"), BigInt(vector.size), fromHex(vector.root_hex, "root"), hashes(vector.proof_hex)),
);

await all("tlog/tiles", "consistency", async (vector) => {
  const files = read("tlog/tiles").tiles;
  const proof = await consistencyProof(BigInt(vector.old_size), BigInt(vector.size), (path) => files[path] && fromBase64(files[path], "a tile"));
  expect(proof.map(hex), vector.proof_hex, "the proof");
});

const site = read("tuf");

async function tufStep(store, { now, changes, endless, target }) {
  const tree = { ...site.tree, ...changes };
  async function fetchBytes(path, maxLength) {
    const data = path === endless ? new Uint8Array(maxLength + 1) : tree[path] ? fromBase64(tree[path], path) : null;
    if (data?.length > maxLength) throw new VerificationError(`${path} is too long`);
    return data;
  }
  const client = new Client({ fetch: fetchBytes, store, now: Date.parse(now) });
  await client.refresh();
  const found = await client.find(target);
  if (!found) throw new VerificationError(`no role lists ${target}`);
  await client.fetchTarget(found);
}

for (const { name, steps } of site.cases) {
  const store = new Map([["root", fromBase64(site.tree["metadata/1.root.json"], "root")]]);
  for (const [number, step] of steps.entries()) await run(`tuf/${name}/${number + 1}`, () => tufStep(store, step));
}

console.log(JSON.stringify(results));
