"""Writes tuf.json, the attacks on a signed site that the Python and the browser's client are both shown.

Run it as `python -m tests.vectors.make_tuf`; the same bytes come out each time.
"""

import base64
import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Signed

from tests.verifier.attacks import Change, drop, flip, strangers_key, swap_objects, with_other_shards_key
from tests.verifier.site_simulator import NOW, A, B, SiteSimulator, rotate, sha256

READ = ("metadata/", "targets/")
KEYS = [CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)) for number in range(1, 30)]


@contextmanager
def fixed_keys() -> Iterator[None]:
    """The simulator's throw-away keys are always the same ones."""
    with patch.object(CryptoSigner, "generate_ed25519", side_effect=KEYS):
        yield


def attacked(change: Change) -> SiteSimulator:
    """The site after `change`."""
    with fixed_keys():
        site = SiteSimulator()
        change(site)
    return site


def next_release(site: SiteSimulator) -> None:
    site.now += timedelta(minutes=5)
    site.next_release()


def mix(name: str) -> Change:
    """Release 1's metadata of one role under the name that it has in release 2."""

    def change(site: SiteSimulator) -> None:
        next_release(site)
        site.tree[f"metadata/2.{name}.json"] = site.tree[f"metadata/1.{name}.json"]

    return change


def two_signers(*, signed_by: int) -> Change:
    """The shard's threshold is two of its two keys; `signed_by` of them sign."""

    def change(site: SiteSimulator) -> None:
        second = CryptoSigner.generate_ed25519()
        role = next(one for one in site.delegations["ppwp"] if one.name == "ppwp-11")
        role.keyids.append(second.public_key.keyid)
        role.threshold = 2
        site.compose()
        site.roles["ppwp"].delegations.keys[second.public_key.keyid] = second.public_key
        put = site.put_metadata

        def put_signed(name: str, signed: Signed, file: str) -> bytes:
            if name != "ppwp-11":
                return put(name, signed, file)
            metadata = Metadata(signed)
            for signer in [site.keys[name], second][:signed_by]:
                metadata.sign(signer, append=True)
            data = site.tree[f"metadata/{file}"] = metadata.to_bytes()
            return data

        site.put_metadata = put_signed
        site.sign()

    return change


def listed_by_a_strange_shard(site: SiteSimulator) -> None:
    """The other shard's role lists the village with figures of its own; its own role no longer does."""
    del site.files["ppwp-11"][A]
    site.files["ppwp-12"][A] = site.results(A, votes=[9, 9])
    site.publish()


def misnamed_key(site: SiteSimulator) -> None:
    site.compose()
    keys = site.roles["ppwp"].delegations.keys
    genuine = site.keys["ppwp-11"].public_key.keyid
    stranger = CryptoSigner.generate_ed25519()
    key = copy.deepcopy(stranger.public_key)
    key.keyid = genuine
    keys[genuine] = key
    site.signers["ppwp-11"] = stranger
    site.sign()


def far_ahead(site: SiteSimulator) -> None:
    site.timestamp.version = 2**53 - 1
    site.sign_timestamp()


def long_lived(site: SiteSimulator) -> None:
    site.timestamp.expires = NOW + timedelta(days=20)
    site.sign_timestamp()


def duplicate_key(site: SiteSimulator) -> None:
    data = site.tree["metadata/timestamp.json"]
    site.tree["metadata/timestamp.json"] = data.replace(b'"signed":', b'"signed": {}, "signed":', 1)


def drop_role(site: SiteSimulator) -> None:
    next_release(site)
    del site.snapshot.meta["ppwp-12.json"]
    site.sign_snapshot()


def older_snapshot(site: SiteSimulator) -> None:
    """What a thief of the timestamp's key can do at most: vouch for the release before."""
    data = site.tree["metadata/1.snapshot.json"]
    site.timestamp.version = 3
    site.timestamp.snapshot_meta.length = len(data)
    site.timestamp.snapshot_meta.hashes = {"sha256": sha256(data)}
    site.sign_timestamp()


def nothing(site: SiteSimulator) -> None:
    """No attack."""


def step(change: Change, expect: str, *, now: datetime = NOW, target: str = A, endless: str = "") -> dict:
    tree = attacked(change).tree
    paths = [path for path in tree.keys() | SITE.tree.keys() if path.startswith(READ)]
    changes = {path: tree.get(path) for path in paths if tree.get(path) != SITE.tree.get(path)}
    return {
        "now": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "changes": {path: data and base64.b64encode(data).decode() for path, data in sorted(changes.items())},
        **({"endless": endless} if endless else {}),
        "target": target,
        "expect": expect,
    }


def cases() -> dict[str, list[dict]]:
    later = NOW + timedelta(minutes=6)
    first, second = step(nothing, "success"), step(next_release, "success", now=later)
    return {
        "valid": [first],
        "next-release": [first, second],
        "root-rotated": [step(rotate, "success")],
        "two-signatures": [step(two_signers(signed_by=2), "success")],
        "flip-object": [step(flip(lambda site: site.object_of(A)), "verification")],
        "flip-snapshot": [step(flip(lambda _: "metadata/1.snapshot.json"), "verification")],
        "flip-role": [step(flip(lambda _: "metadata/1.ppwp-11.json"), "verification")],
        "swap-villages": [step(swap_objects, "verification")],
        "no-such-village": [step(nothing, "verification", target="ppwp/11/9999.json")],
        "rollback": [second, step(nothing, "verification", now=later)],
        "older-snapshot": [second, step(older_snapshot, "verification", now=later)],
        "freeze": [first, step(nothing, "stale", now=NOW + timedelta(minutes=31))],
        "mix-role": [step(mix("ppwp-11"), "verification", now=later)],
        "mix-snapshot": [step(mix("snapshot"), "verification", now=later)],
        "role-missing": [step(drop(lambda _: "metadata/1.ppwp-11.json"), "verification")],
        "role-removed": [first, step(drop_role, "verification", now=later)],
        "timestamp-missing": [step(drop(lambda _: "metadata/timestamp.json"), "fetch")],
        "endless-timestamp": [step(nothing, "verification", endless="metadata/timestamp.json")],
        "endless-role": [step(nothing, "verification", endless="metadata/1.ppwp-11.json")],
        "endless-object": [step(nothing, "verification", endless=SITE.object_of(A))],
        "threshold-not-met": [step(two_signers(signed_by=1), "verification")],
        "key-of-another-shard": [step(with_other_shards_key, "verification", target=B)],
        "listed-by-another-shard": [step(listed_by_a_strange_shard, "verification")],
        "strangers-timestamp": [step(strangers_key("timestamp"), "verification")],
        "strangers-role": [step(strangers_key("ppwp-11"), "verification")],
        "misnamed-key": [step(misnamed_key, "verification")],
        "root-by-old-key-alone": [step(lambda site: rotate(site, new_key=False), "verification")],
        "root-by-new-key-alone": [step(lambda site: rotate(site, old_key=False), "verification")],
        "root-of-another-version": [step(lambda site: rotate(site, version=3), "verification")],
        "timestamp-far-ahead": [step(far_ahead, "verification")],
        "timestamp-for-long": [step(long_lived, "verification")],
        "duplicate-key": [step(duplicate_key, "format")],
    }


SITE = attacked(nothing)

if __name__ == "__main__":
    vectors = {
        "about": "A client with trusted root 1.root.json refreshes from `tree` with `changes` (null: not there) and reads one target; state stays between steps.",
        "tree": {
            path: base64.b64encode(data).decode() for path, data in sorted(SITE.tree.items()) if path.startswith(READ)
        },
        "cases": [{"name": name, "steps": steps} for name, steps in cases().items()],
    }
    Path(__file__).with_name("tuf.json").write_text(json.dumps(vectors, indent=1) + "\n")
