// The TUF client (TUF specification 1.0, 5 "Detailed client workflow"), with bytes and clock given from outside.

import { FetchError, StaleError, malformed, refuted } from "./errors.js";
import { fromHex, hex, same, utf8 } from "./bytes.js";
import { verifyEd25519 } from "./ed25519.js";
import { sha256, sha512 } from "./hash.js";
import { canonicalJson, parseJson } from "./json.js";
import { MAX_DELEGATIONS, MAX_ROOT, MAX_ROOT_ROTATIONS, MAX_SNAPSHOT, MAX_TARGETS, MAX_TIMESTAMP, MAX_TIMESTAMP_AHEAD_SECONDS, MAX_TIMESTAMP_VALIDITY_SECONDS } from "./limits.js";

const TOP = ["root", "timestamp", "snapshot", "targets"];
const HASHES = { sha256, sha512 };

const isText = (value) => typeof value === "string";
const isTexts = (value) => Array.isArray(value) && value.every(isText);
const isDistinct = (list) => new Set(list).size === list.length;
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const isCount = (value, least) => Number.isSafeInteger(value) && value >= least;

function improper(wrong, what, part) {
  malformed(wrong, `${what} has no proper ${part}`);
}

function checkRole(role, what) {
  const { keyids, threshold } = Object(role);
  const listed = isTexts(keyids) && isDistinct(keyids);
  improper(!listed || !isCount(threshold, 1), what, "keyids and threshold");
}

function checkKeys(keys, what) {
  const proper = (key) => isObject(key) && isObject(key.keyval) && isTexts([key.keytype, key.scheme, key.keyval.public]);
  improper(!isObject(keys) || !Object.values(keys).every(proper), what, "keys");
}

function checkDelegations(delegations, what) {
  const { keys, roles, succinct_roles: bins } = Object(delegations);
  checkKeys(keys, what);
  if (bins !== undefined) {
    checkRole(bins, what);
    improper(roles !== undefined || !isCount(bins.bit_length, 1) || bins.bit_length > 32 || !isText(bins.name_prefix), what, "hash bins");
    return;
  }
  improper(!Array.isArray(roles) || !isDistinct(roles.map((role) => Object(role).name)), what, "delegated roles");
  for (const role of roles) {
    checkRole(role, what);
    malformed(!isText(role.name) || !role.name || TOP.includes(role.name), `${what} has a role without a name`);
    malformed(typeof role.terminating !== "boolean" || isTexts(role.paths) === isTexts(role.path_hash_prefixes), `${what} does not say what ${role.name} may speak for`);
  }
}

function checkFile(file, what, isTarget) {
  const { version, length, hashes } = Object(file);
  const sized = isTarget ? isCount(length, 0) : isCount(version, 1) && (length === undefined || isCount(length, 0));
  const hashed = hashes === undefined ? !isTarget : isObject(hashes) && Object.keys(hashes).length && isTexts(Object.values(hashes));
  malformed(!sized || !hashed, `${what} lists a file without version, length or hashes`);
}

// Metadata of one type, with the shape that the rest relies on. Nothing is verified.
function parse(data, type, what) {
  const { signed, signatures } = Object(parseJson(data, what));
  refuted(!isObject(signed) || signed._type !== type, `${what} is no metadata of type ${type}`);
  const signature = (one) => isObject(one) && isTexts([one.keyid, one.sig]);
  improper(!Array.isArray(signatures) || !signatures.every(signature) || !isDistinct(signatures.map((one) => one.keyid)), what, "signatures");
  improper(!/^1(\.\d+){1,2}$/.test(signed.spec_version) || !isCount(signed.version, 1), what, "version");
  improper(!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(signed.expires) || Number.isNaN(Date.parse(signed.expires)), what, "expiry");
  if (type === "root") {
    checkKeys(signed.keys, what);
    TOP.forEach((name) => checkRole(signed.roles?.[name], what));
  } else {
    const files = type === "targets" ? signed.targets : signed.meta;
    malformed(!isObject(files), `${what} lists no files`);
    Object.values(files).forEach((file) => checkFile(file, what, type === "targets"));
  }
  malformed(type === "timestamp" && !signed.meta["snapshot.json"], `${what} names no snapshot`);
  if (type === "targets" && signed.delegations !== undefined) checkDelegations(signed.delegations, what);
  return { signed, signatures, data };
}

// A pattern of a delegated path, segment by segment: `*` and `?` do not cross `/`.
function covers(pattern, path) {
  const [patterns, segments] = [pattern.split("/"), path.split("/")];
  const matches = (glob, segment) => new RegExp(`^${glob.replace(/[\\^$.|+(){}[\]]/g, "\\$&").replace(/\*/g, "[^]*").replace(/\?/g, "[^]")}$`, "u").test(segment);
  return patterns.length === segments.length && patterns.every((glob, index) => matches(glob, segments[index]));
}

export async function checkBytes(data, { length, hashes = {} }, what) {
  let holds = length === undefined || data.length === length;
  for (const [name, digest] of Object.entries(hashes)) holds &&= name in HASHES && hex(await HASHES[name](data)) === digest;
  refuted(!holds, `${what} is not what was signed: altered, or mixed from two states`);
}

const passes = (data, promised) => checkBytes(data, promised, "it").then(() => true, () => false);

const verifyKey = (key, signature, message) =>
  key.scheme === "ed25519" && verifyEd25519(fromHex(key.keyval.public, "a key"), fromHex(signature, "a signature"), message);

// One site. `fetch(path, maxLength)` gives bytes, or null for what is not there; `fetchAny(path, maxLength, check)` gives
// what passes `check`, from wherever. `store` is a Map of what earlier runs trusted, by role, with at least "root"; `now`
// is in milliseconds. `stock`: ask no more than TUF does. `expired`: roles past their expiry; they end the work, unless
// `tolerant`, when the caller must say so.
export class Client {
  constructor({ fetch, fetchAny, store, now, tolerant = false, stock = false, verify = verifyKey }) {
    Object.assign(this, { fetch, fetchAny: fetchAny ?? this.fetchChecked, store, now, tolerant, stock, verify });
    this.expired = [];
    this.roles = new Map();
    this.signers = new Map();
  }

  // Verified: the newest root, timestamp, snapshot and top-level targets.
  async refresh() {
    await this.updateRoot();
    await this.updateTimestamp();
    await this.updateSnapshot();
    await this.role("targets", this.root.roles.targets, this.root.keys);
  }

  get release() {
    return this.snapshot.version;
  }

  async checkSignatures({ signed, signatures }, name, role, keys) {
    const message = canonicalJson(signed);
    const holds = async ({ keyid, sig }) => {
      try {
        return role.keyids.includes(keyid) && keyid in keys && (await this.verify(keys[keyid], sig, message));
      } catch {
        return false;
      }
    };
    const count = (await Promise.all(signatures.map(holds))).filter(Boolean).length;
    refuted(count < role.threshold, `${name} has ${count} of ${role.threshold} signatures`);
    this.signers.set(name, { count, threshold: role.threshold });
  }

  // Python's client refuses these too: under a genuine keyid, a stranger's key would be shown and counted as its owner's.
  async checkKeyids(keys = {}) {
    if (this.stock) return;
    for (const [keyid, { keytype, keyval, scheme }] of Object.entries(keys)) {
      refuted(hex(await sha256(canonicalJson({ keytype, keyval, scheme }))) !== keyid, `keyid ${keyid} is not that key's hash`);
    }
  }

  checkFresh(name, { expires }) {
    if (Date.parse(expires) > this.now) return;
    this.expired.push(name);
    if (!this.tolerant) throw new StaleError(`${name} ended ${expires}`);
  }

  async fetchChecked(path, cap, check) {
    const data = await this.fetch(path, cap);
    refuted(!data, `${path} is missing, though signed`);
    await check(data);
    return data;
  }

  // A file that signed metadata promises. A stolen key could sign any length, hence the second cap.
  async fetchPromised(path, promised, cap) {
    return this.fetchAny(path, Math.min(promised.length ?? cap, cap), (data) => checkBytes(data, promised, path));
  }

  async updateRoot() {
    let trusted = parse(this.store.get("root"), "root", "root");
    const check = async (root, by) => {
      await this.checkSignatures(root, "root", by.signed.roles.root, by.signed.keys);
      await this.checkKeyids(root.signed.keys);
    };
    await check(trusted, trusted);
    for (let step = 0; step < MAX_ROOT_ROTATIONS; step++) {
      const version = trusted.signed.version + 1;
      const data = await this.fetch(`metadata/${version}.root.json`, MAX_ROOT);
      if (!data) break;
      const next = parse(data, "root", "root");
      await check(next, trusted);
      await check(next, next);
      refuted(next.signed.version !== version, `${version}.root.json has version ${next.signed.version}`);
      const keysOf = (root, role) => JSON.stringify([root.signed.roles[role].keyids, root.signed.roles[role].threshold]);
      // New keys end what a thief of the old ones may have pushed far ahead (5.3.11).
      if (["timestamp", "snapshot"].some((role) => keysOf(trusted, role) !== keysOf(next, role))) ["timestamp", "snapshot"].forEach((role) => this.store.delete(role));
      trusted = next;
      this.store.set("root", data);
    }
    this.root = trusted.signed;
    this.checkFresh("root", this.root);
  }

  async signed(data, name, role, keys) {
    const found = parse(data, TOP.includes(name) ? name : "targets", name);
    await this.checkSignatures(found, name, role, keys);
    return found;
  }

  // What an earlier run left, if it still verifies.
  async stored(name, role, keys) {
    try {
      return await this.signed(this.store.get(name), name, role, keys);
    } catch {
      return undefined;
    }
  }

  // Metadata as signed metadata promises it: `old`, if that is it.
  async promised(name, role, keys, file, cap, old) {
    if (old?.signed.version === file.version && (await passes(old.data, file))) return old;
    const data = await this.fetchPromised(`metadata/${this.prefix(file.version)}${encodeURIComponent(name)}.json`, file, cap);
    const found = await this.signed(data, name, role, keys);
    refuted(found.signed.version !== file.version, `${name} has another version than is signed for it`);
    return found;
  }

  async updateTimestamp() {
    const role = this.root.roles.timestamp;
    const old = await this.stored("timestamp", role, this.root.keys);
    const data = await this.fetch("metadata/timestamp.json", MAX_TIMESTAMP);
    if (!data) throw new FetchError("timestamp.json is missing");
    const found = await this.signed(data, "timestamp", role, this.root.keys);
    const version = found.signed.version;
    // A thief of the timestamp's key could sign 2^53: whoever has seen that takes every honest timestamp for older.
    refuted(!this.stock && version > this.now / 1000 + MAX_TIMESTAMP_AHEAD_SECONDS, `timestamp version ${version} is a time far ahead`);
    const snapshotOf = (timestamp) => timestamp.signed.meta["snapshot.json"].version;
    refuted(old && (version < old.signed.version || snapshotOf(found) < snapshotOf(old)), "timestamp rolled back");
    this.timestamp = old?.signed.version === version ? old.signed : found.signed;
    this.checkFresh("timestamp", this.timestamp);
    if (this.timestamp === found.signed) this.store.set("timestamp", data);
  }

  async updateSnapshot() {
    const role = this.root.roles.snapshot;
    const old = await this.stored("snapshot", role, this.root.keys);
    const found = await this.promised("snapshot", role, this.root.keys, this.timestamp.meta["snapshot.json"], MAX_SNAPSHOT, old);
    for (const [name, { version }] of Object.entries(old?.signed.meta ?? {})) {
      refuted(!(found.signed.meta[name]?.version >= version), `${name} was removed, or rolled back`);
    }
    this.checkFresh("snapshot", found.signed);
    this.snapshot = found.signed;
    this.snapshotBytes = found.data;
    // A final release may last for years: then its snapshot does too, which another key has signed.
    const latest = Math.max(this.now + 1000 * MAX_TIMESTAMP_VALIDITY_SECONDS, Date.parse(this.snapshot.expires));
    refuted(!this.stock && Date.parse(this.timestamp.expires) > latest, "the timestamp ends long after its snapshot");
    this.store.set("snapshot", found.data);
  }

  prefix = (version) => (this.root.consistent_snapshot ? `${version}.` : "");

  // A targets role as one delegation (`role`, `keys`) vouches for it; another one's word does not count for it.
  async role(name, role, keys) {
    const known = this.roles.get(name);
    if (known?.role === role) return known.signed;
    const file = this.snapshot.meta[`${name}.json`];
    refuted(!file, `the snapshot does not name the role ${name}`);
    const found = await this.promised(name, role, keys, file, MAX_TARGETS, await this.stored(name, role, keys));
    await this.checkKeyids(found.signed.delegations?.keys);
    this.checkFresh(name, found.signed);
    this.store.set(name, found.data);
    this.roles.set(name, { role, signed: found.signed });
    return found.signed;
  }

  // What the first role that a search reaches says of a path (5.6.7): {length, hashes, roles}, the roles from the top down; null if none lists it.
  async find(path) {
    refuted(!this.stock && /^packs\/(?![1-9]\d*-(?:[a-z0-9]{1,32}-)?[1-9]\d*\.tar$)/.test(path), `${path} is no pack`);
    const pathHash = hex(await sha256(utf8(path)));
    const pending = [{ name: "targets", role: this.root.roles.targets, keys: this.root.keys, chain: [] }];
    const seen = new Set();
    while (pending.length && seen.size < MAX_DELEGATIONS) {
      const { name, role, keys, chain } = pending.pop();
      if (seen.has(name)) continue;
      seen.add(name);
      const { targets, delegations } = await this.role(name, role, keys);
      const roles = [...chain, name];
      if (path in targets) return { ...targets[path], path, roles };
      const next = [];
      for (const child of delegatedRoles(delegations, pathHash)) {
        const asked = child.paths ? child.paths.some((pattern) => covers(pattern, path)) : child.path_hash_prefixes.some((start) => pathHash.startsWith(start));
        if (!asked) continue;
        next.push({ name: child.name, role: child, keys: delegations.keys, chain: roles });
        if (child.terminating) {
          pending.length = 0;
          break;
        }
      }
      pending.push(...next.reverse());
    }
    return null;
  }

  // Where the object of a found TUF target lies.
  objectPath({ path, hashes }) {
    const slash = path.lastIndexOf("/") + 1;
    return `targets/${path.slice(0, slash)}${this.prefix(Object.values(hashes)[0])}${path.slice(slash)}`;
  }

  // The verified bytes of a TUF target that is kept with the state; null if no role lists it.
  async keep(path) {
    const target = await this.find(path);
    const known = target && this.store.get(path);
    if (!target || (known && (await passes(known, target)))) return known ?? null;
    const data = await this.fetchTarget(target);
    this.store.set(path, data);
    return data;
  }

  // The verified bytes of a found TUF target.
  async fetchTarget(target) {
    return this.fetchPromised(this.objectPath(target), target, target.length);
  }
}

// The roles of a delegation; of hash bins, the one for this hash.
function delegatedRoles(delegations, pathHash) {
  if (!delegations?.succinct_roles) return delegations?.roles ?? [];
  const bins = delegations.succinct_roles;
  const bin = parseInt(pathHash.slice(0, 8), 16) >>> (32 - bins.bit_length);
  const name = `${bins.name_prefix}-${bin.toString(16).padStart(Math.ceil(bins.bit_length / 4), "0")}`;
  return [{ ...bins, name, path_hash_prefixes: [""], terminating: false }];
}
