// A release is in the log, enough witnesses saw that, and the log's past is the one that was seen before (docs/formats.md, "Log").

import { refuted } from "./errors.js";
import { hex, text, utf8 } from "./bytes.js";
import { sha256 } from "./hash.js";
import { MAX_PROOF, MAX_TILE } from "./limits.js";
import { checkPolicy, parsePolicy } from "./policy.js";
import { checkEntry, consistencyProof, parseProof, verifyConsistency } from "./tlog.js";
import { parseHead } from "./note.js";

const POLICY_PATH = "trust/tlog-policy.txt";
const SEEN = "log/checkpoint";
// In `store`: the newest release's.
export const PROOF = "log/proof";

// A release's entry follows from its snapshot alone.
export async function releaseEntry(release, snapshot) {
  return utf8(`terbit-release-1\nfile ${release}.snapshot.json\nlength ${snapshot.length}\nsha256 ${hex(await sha256(snapshot))}\n`);
}

// Returns if the log and what `store` remembers of it are one log; remembers the longer one. A fork is refused. A shorter one is as good, if it is
// the past of the one remembered: a log grows between releases, too.
async function checkPast(store, { text: head, ...now }, fetch) {
  const known = store.get(SEEN) && parseHead(text(store.get(SEEN), SEEN));
  if (known?.origin === now.origin) {
    const readTile = async (path, length) => {
      const data = await fetch(`log/${path}`, length);
      // A partial tile may have been dropped for the full one.
      return data ?? (await fetch(`log/${path.replace(/\.p\/\d+$/, "")}`, MAX_TILE))?.subarray(0, length);
    };
    const [early, late] = known.size <= now.size ? [known, now] : [now, known];
    const proof = early.size < late.size ? await consistencyProof(early.size, late.size, readTile) : [];
    await verifyConsistency(early.size, early.root, late.size, late.root, proof);
    if (late === known) return;
  }
  store.set(SEEN, utf8(head));
}

// How many cosignatures the quorum needs, where that is a number: 0 where none is required, null for groups of groups.
function needed({ witnesses, groups, quorum }) {
  if (quorum === null) return 0;
  const group = groups.find(({ name }) => name === quorum);
  if (!group) return 1;
  return group.members.every((member) => witnesses.some(({ name }) => name === member)) ? group.threshold : null;
}

// Check a refreshed client's release. Null for a site whose offline keys name no log; else {origin, size, needed, witnesses: [{name, time}]},
// time in Unix seconds or null. `fetch` as the client's.
export async function checkLog(client, store, fetch) {
  const spelt = await client.keep(POLICY_PATH);
  if (!spelt) return null;
  const policy = await parsePolicy(spelt);
  const data = await fetch(`metadata/${client.release}.snapshot.json.tlog-proof`, MAX_PROOF);
  refuted(!data, `release ${client.release} has no log proof`);
  const proof = parseProof(data);
  const times = await checkPolicy(policy, proof.checkpoint);
  await checkEntry(proof, await releaseEntry(client.release, client.snapshotBytes));
  await checkPast(store, proof.checkpoint, fetch);
  store.set(PROOF, data);
  const witnesses = policy.witnesses.map(({ name }) => ({ name, time: times[name] ?? null }));
  return { origin: proof.checkpoint.origin, size: String(proof.checkpoint.size), needed: needed(policy), witnesses };
}
