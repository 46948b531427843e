// Trust policies (C2SP tlog-policy): which logs count, which witnesses we know, and how many of them must have seen a checkpoint.

import { FormatError, malformed, refuted } from "./errors.js";
import { text } from "./bytes.js";
import { MAX_POLICY, MAX_POLICY_LINES } from "./limits.js";
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
  const proper = (byte) => (byte > 31 && byte !== 127) || byte === 9 || byte === 10;
  malformed(data.length > MAX_POLICY || !data.every(proper) || (data.at(-1) ?? 10) !== 10, "a policy is lines of text, each ended by LF");
  const [logs, witnesses, groups] = [[], [], []];
  const free = new Map(); // every name so far, and whether no group has it as a member yet
  let quorum;

  function add(list, one) {
    malformed(list.push(one) > MAX_POLICY_LINES, "too many lines of a kind");
  }

  async function readKey(spelt, otherKind) {
    const key = await parseVerifierKey(spelt);
    malformed(key.kind === otherKind, `${key.name} has a key that is not for this`);
    // Under two names one key would count twice; a log that is its own witness witnesses nothing.
    const known = [...logs, ...witnesses].some((one) => String(one.key.key) === String(key.key));
    malformed(known, `the key of ${key.name} is there already`);
    return key;
  }

  function define(name) {
    malformed(name === "none" || free.has(name), `the name ${name} is taken`);
    free.set(name, true);
  }

  function addGroup(name, threshold, ...members) {
    for (const member of members) {
      malformed(!free.get(member), `${member} is not defined above, or is a member already`);
      free.set(member, false);
    }
    define(name);
    const count = { all: members.length, any: 1 }[threshold] ?? (/^[1-9][0-9]{0,3}$/.test(threshold) ? Number(threshold) : 0);
    malformed(count < 1 || count > members.length, `the group ${name} needs all, any, or some of its members`);
    add(groups, { name, threshold: count, members });
  }

  // A line may only name what stands above it.
  async function take([kind, ...words]) {
    const { length } = words;
    if (kind === "log" && length >= 1 && length <= 2) add(logs, { key: await readKey(words[0], COSIGNATURE_V1) });
    else if (kind === "witness" && length >= 2 && length <= 3) {
      define(words[0]);
      add(witnesses, { name: words[0], key: await readKey(words[1], ED25519) });
    } else if (kind === "group" && length >= 3) addGroup(...words);
    else if (kind === "quorum" && length === 1 && quorum === undefined) {
      [quorum] = words;
      malformed(quorum !== "none" && !free.has(quorum), `the quorum ${quorum} is not defined above`);
    } else throw new FormatError("must be a log, a witness, a group or, once, the quorum");
  }

  for (const [number, line] of decode(data).split("\n").entries()) {
    const words = line.replace(/^[ \t]+|[ \t]+$/g, "").split(/[ \t]+/);
    if (!words[0] || words[0].startsWith("#")) continue;
    try {
      await take(words);
    } catch (error) {
      throw new FormatError(`the policy's line ${number + 1}: ${error.message}`);
    }
  }
  malformed(quorum === undefined, "a policy has a line “quorum”");
  return { logs, witnesses, groups, quorum: quorum === "none" ? null : quorum };
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
  refuted(!logs.length, `the checkpoint of ${checkpoint.origin} is not signed by a log of the policy`);
  for (const { key } of logs) await checkLogSignature(checkpoint, key);
  const times = Object.create(null);
  for (const { name, key } of policy.witnesses) {
    const time = await cosignedAt(checkpoint, key);
    if (time !== null) times[name] = time;
  }
  refuted(!holds(policy, Object.keys(times)), "too few witnesses saw this checkpoint");
  return times;
}
