// Trust policies (C2SP tlog-policy): which logs count, which witnesses we know, and how many of them must have seen a checkpoint.

import { FormatError, malformed, refuted } from "./errors.js";
import { text } from "./bytes.js";
import { LIMITS } from "./limits.js";
import { COSIGNATURE_V1, ED25519, checkLogSignature, cosignedAt, parseVerifierKey } from "./note.js";

// Names are octets in the specification: where they are not UTF-8, each stands for itself.
function decode(data) {
  try {
    return text(data, "the policy");
  } catch {
    return String.fromCharCode(...data);
  }
}

// {logs, witnesses, groups, quorum}; quorum is null where no cosignature is required.
export async function parsePolicy(data) {
  if (data.length > LIMITS.policy || data.some((byte) => (byte < 32 && byte !== 9 && byte !== 10) || byte === 127) || (data.length && data[data.length - 1] !== 10)) {
    throw new FormatError("a policy is lines, each ended by LF, without control characters");
  }
  const reader = new Reader();
  for (const [number, line] of decode(data).split("\n").entries()) {
    const words = line.replace(/^[ \t]+|[ \t]+$/g, "").split(/[ \t]+/);
    if (!words[0] || words[0].startsWith("#")) continue;
    try {
      await reader.take(words);
    } catch (error) {
      throw new FormatError(`the policy's line ${number + 1}: ${error.message}`);
    }
  }
  const { logs, witnesses, groups, quorum } = reader;
  malformed(quorum === undefined, "a policy has a line “quorum”");
  return { logs, witnesses, groups, quorum: quorum === "none" ? null : quorum };
}

// Takes a policy line by line; a line may only name what stands above it.
class Reader {
  logs = [];
  witnesses = [];
  groups = [];
  // Every name so far, and whether no group has it as a member yet.
  free = new Map();

  async take([kind, ...words]) {
    if (kind === "log" && words.length >= 1 && words.length <= 2) {
      this.add(this.logs, { key: await this.key(words[0], COSIGNATURE_V1) });
    } else if (kind === "witness" && words.length >= 2 && words.length <= 3) {
      this.define(words[0]);
      this.add(this.witnesses, { name: words[0], key: await this.key(words[1], ED25519) });
    } else if (kind === "group" && words.length >= 3) this.group(...words);
    else if (kind === "quorum" && words.length === 1 && this.quorum === undefined) {
      malformed(words[0] !== "none" && !this.free.has(words[0]), `the quorum ${words[0]} is not defined above`);
      this.quorum = words[0];
    } else throw new FormatError("must be a log, a witness, a group or, once, the quorum");
  }

  add(list, one) {
    malformed(list.push(one) > LIMITS.policyLines, "too many lines of a kind");
  }

  async key(spelt, otherKind) {
    const key = await parseVerifierKey(spelt);
    malformed(key.kind === otherKind, `${key.name} has a key that is not for this`);
    // Under two names one key would count twice; a log that is its own witness witnesses nothing.
    const known = [...this.logs, ...this.witnesses].some((one) => String(one.key.key) === String(key.key));
    malformed(known, `the public key of ${key.name} is in the policy already`);
    return key;
  }

  define(name) {
    malformed(name === "none" || this.free.has(name), `the name ${name} is taken`);
    this.free.set(name, true);
  }

  group(name, threshold, ...members) {
    for (const member of members) {
      malformed(!this.free.get(member), `${member} is not defined above, or is a member already`);
      this.free.set(member, false);
    }
    this.define(name);
    const count = { all: members.length, any: 1 }[threshold] ?? (/^[1-9][0-9]{0,3}$/.test(threshold) ? Number(threshold) : 0);
    malformed(count < 1 || count > members.length, `the group ${name} needs all, any, or some of its members`);
    this.add(this.groups, { name, threshold: count, members });
  }
}

// Whether the witnesses of these names are a quorum.
export function holds({ witnesses, groups, quorum }, names) {
  const seen = new Set(witnesses.map(({ name }) => name).filter((name) => names.includes(name)));
  for (const { name, threshold, members } of groups) if (members.filter((member) => seen.has(member)).length >= threshold) seen.add(name);
  return quorum === null || seen.has(quorum);
}

// Which witnesses cosigned, and when: {name: seconds}. Refused unless a log of this policy signed, every signature by a known key holds, and they are a quorum.
export async function checkPolicy(policy, checkpoint) {
  const logs = policy.logs.filter(({ key }) => key.name === checkpoint.origin && checkpoint.signatures.some(({ name, id }) => name === key.name && id === key.id));
  refuted(!logs.length, `the checkpoint of ${checkpoint.origin} is not signed by any log that the policy knows`);
  for (const { key } of logs) await checkLogSignature(checkpoint, key);
  const times = Object.create(null);
  for (const { name, key } of policy.witnesses) {
    const time = await cosignedAt(checkpoint, key);
    if (time !== null) times[name] = time;
  }
  refuted(!holds(policy, Object.keys(times)), "too few witnesses saw this checkpoint; others may have been shown another one");
  return times;
}
