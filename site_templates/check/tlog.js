// The transparency log: RFC 6962's tree, proofs in files (C2SP tlog-proof), and tiles (C2SP tlog-tiles). Sizes and positions are BigInt.

import { malformed, refuted } from "./errors.js";
import { concat, fromBase64, same, utf8 } from "./bytes.js";
import { sha256 } from "./hash.js";
import { MAX_PROOF, MAX_PROOF_EXTRA, MAX_TREE_PROOF } from "./limits.js";
import { decimal, lines, parseCheckpoint } from "./note.js";

export const leafHash = (entry) => sha256(concat(Uint8Array.of(0), entry));
const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

// Each hash of a proof from node `position` of a row that ends at `last`, and whether it stands on the left (RFC 9162, 2.1.3.2).
function climb(position, last, proof) {
  const steps = proof.map((sibling) => {
    refuted(last === 0n, "a log proof is too long");
    const left = (position & 1n) === 1n || position === last;
    while (left && position && !(position & 1n)) [position, last] = [position >> 1n, last >> 1n];
    [position, last] = [position >> 1n, last >> 1n];
    return { sibling, left };
  });
  refuted(last, "a log proof is too short");
  return steps;
}

// Returns if the entry with hash `leaf` is entry `index` of the tree.
export async function verifyInclusion(leaf, index, size, root, proof) {
  refuted(index < 0n || index >= size, `there is no entry ${index} in a tree of ${size}`);
  let known = leaf;
  for (const { sibling, left } of climb(index, size - 1n, proof)) known = await (left ? nodeHash(sibling, known) : nodeHash(known, sibling));
  refuted(!same(known, root), `the entry is not entry ${index} of the log`);
}

// The old and the new root hash that a proof leads to, 0 < `oldSize` < `size` (RFC 9162, 2.1.4.2).
async function follow(oldSize, oldRoot, size, proof) {
  const hashes = oldSize & (oldSize - 1n) ? proof : [oldRoot, ...proof];
  if (!hashes.length) return [];
  let [position, last] = [oldSize - 1n, size - 1n];
  while (position & 1n) [position, last] = [position >> 1n, last >> 1n];
  let [old, now] = [hashes[0], hashes[0]];
  for (const { sibling, left } of climb(position, last, hashes.slice(1))) {
    if (left) old = await nodeHash(sibling, old);
    now = await (left ? nodeHash(sibling, now) : nodeHash(now, sibling));
  }
  return [old, now];
}

// Returns if the tree of `size` entries has that of `oldSize` as its beginning.
export async function verifyConsistency(oldSize, oldRoot, size, root, proof) {
  refuted(oldSize < 0n || oldSize > size, `the log was cut from ${oldSize} entries to ${size}`);
  const empty = await sha256(new Uint8Array());
  refuted((!oldSize && !same(oldRoot, empty)) || (!size && !same(root, empty)), "an empty log has another root hash");
  let follows = !proof.length && (!oldSize || same(oldRoot, root));
  if (oldSize && oldSize < size) {
    const [old, now] = await follow(oldSize, oldRoot, size, proof);
    follows = old && same(old, oldRoot) && same(now, root);
  }
  refuted(!follows, "the log's past was changed");
}

// A log proof: {index, hashes, checkpoint}; nothing is verified.
export function parseProof(data) {
  const [head, ...rest] = lines(data, MAX_PROOF, "the log proof").split("\n\n");
  const [header, ...spelt] = head.split("\n");
  malformed(header !== "c2sp.org/tlog-proof@v1" || !rest.length, "this is no log proof of version 1");
  if (spelt[0]?.startsWith("extra ")) {
    const extra = fromBase64(spelt.shift().slice(6), "a log proof's extra data");
    malformed(!extra.length || extra.length > MAX_PROOF_EXTRA, "a log proof has no proper extra data");
  }
  malformed(!spelt[0]?.startsWith("index "), "a log proof has a line “index <number>”");
  const index = decimal(spelt.shift().slice(6), "a log proof's index");
  malformed(spelt.length > MAX_TREE_PROOF, "a log proof is too long");
  return { index, hashes: spelt.map((line) => fromBase64(line, "a log proof's hash", 32)), checkpoint: parseCheckpoint(utf8(rest.join("\n\n"))) };
}

// Returns if the bytes `entry` are in the proof's tree. Says nothing about the checkpoint: the policy does.
export async function checkEntry(proof, entry) {
  await verifyInclusion(await leafHash(entry), proof.index, proof.checkpoint.size, proof.checkpoint.root, proof.hashes);
}

// A tile's path, `width` of its 256 hashes written.
function tilePath(level, index, width) {
  const digits = String(index).padStart(Math.ceil(String(index).length / 3) * 3, "0");
  const groups = digits.match(/.../g).map((group, at, all) => (at < all.length - 1 ? `x${group}` : group));
  return `tile/${level}/${groups.join("/")}${width < 256n ? `.p/${width}` : ""}`;
}

// The hash of the entries index * 2^level … (index + 1) * 2^level - 1 of a log of `size` entries, from its tiles.
async function readNode(level, index, size, read) {
  const tileLevel = level / 8n;
  const height = level % 8n;
  const first = index << height;
  const tile = first >> 8n;
  const rest = (size >> (8n * tileLevel)) - (tile << 8n);
  const width = rest < 256n ? rest : 256n;
  const data = await read(tilePath(tileLevel, tile, width), 32 * Number(width));
  refuted(!data || data.length !== 32 * Number(width), "a tile of the log is missing or cut");
  const at = Number(first & 255n);
  let row = Array.from({ length: 1 << Number(height) }, (_, i) => data.subarray(32 * (at + i), 32 * (at + i + 1)));
  while (row.length > 1) row = await Promise.all(row.filter((_, i) => i % 2 === 0).map((left, i) => nodeHash(left, row[2 * i + 1])));
  return row[0];
}

// The largest power of two smaller than `size`, which is at least 2.
const split = (size) => 1n << BigInt((size - 1n).toString(2).length - 1);

async function rangeHash(start, size, node) {
  if (!(size & (size - 1n))) {
    const level = BigInt(size.toString(2).length - 1);
    return node(level, start >> level);
  }
  const left = split(size);
  return nodeHash(await rangeHash(start, left, node), await rangeHash(start + left, size - left, node));
}

// PROOF(oldSize, D[size]) of RFC 6962, 2.1.2, made from tiles; `read(path, maxLength)` gives their bytes. What it is worth, verifyConsistency says.
export async function consistencyProof(oldSize, size, read) {
  const node = (level, index) => readNode(level, index, size, read);
  const proof = [];
  let [start, end, rest] = [0n, oldSize, size];
  while (end > 0n && end < rest) {
    const left = split(rest);
    if (end <= left) {
      proof.push(await rangeHash(start + left, rest - left, node));
      rest = left;
    } else {
      proof.push(await rangeHash(start, left, node));
      [start, end, rest] = [start + left, end - left, rest - left];
    }
  }
  if (start) proof.push(await rangeHash(start, rest, node));
  return proof.reverse();
}
