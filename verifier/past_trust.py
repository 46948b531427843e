"""Whether the offline-signed metadata that a release shows is the newest that its log knows: roots, `targets`, and `trust` with the witnesses' policy and the officials.

TUF alone tells a client that comes for the first time nothing of a newer version that is withheld. The log does: each release's entry `inputs` names the hash of the
offline-signed metadata, and each new root is an entry of its own. Whoever stole the online keys, and the log's, can write entries, yet not take away those that
witnesses have seen. Where the older policy asks for no witness, he can tell a first-time client another log from its beginning; nothing here prevents that.
"""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from verifier import limits
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import Fetcher
from verifier.files import Failure
from verifier.formats import leaves
from verifier.log import LogReport
from verifier.log_entries import check_root, parse_entries, read_entries

if TYPE_CHECKING:
    from verifier.client import Client

__all__ = ["check_past_trust"]

OFFLINE = ("targets", "trust")


def check_past_trust(client: "Client", fetcher: Fetcher, seen: LogReport, executor: Executor) -> list[Failure]:
    """What the log, up to the entry of the refreshed `client`'s release, says against the offline-signed metadata that is shown with it."""
    try:
        entries = read_entries(fetcher, seen.size, executor)
        check_root(entries, seen.checkpoint.checkpoint)
        past = list(parse_entries(entries[: seen.index]))
        roots = sum(isinstance(leaf, leaves.Root) for leaf in past)
        trusts = [leaf.trust for leaf in past if isinstance(leaf, leaves.Inputs)]
        if roots > client.root.version:
            raise VerificationError(
                f"root {roots} was logged before this release, and no root after {client.root.version} is to be had here: it is withheld"
            )
        if not trusts or trusts[-1] != _shown_trust(client, fetcher):
            raise VerificationError("the release was logged with other offline-signed metadata than is shown with it")
        if trusts[-1] in trusts[: _change(trusts)]:  # versions only grow: no hash comes twice
            raise VerificationError(
                "ROLLBACK: the release goes back to offline-signed metadata that was replaced before: witnesses or officials of then, which hold no longer"
            )
    except VerifierError as error:
        return [Failure.of("log", error)]
    return []


def _change(trusts: Sequence[str]) -> int:
    """Since where the last of these hashes is in force."""
    return next((place for place in range(len(trusts), 0, -1) if trusts[place - 1] != trusts[-1]), 0)


def _shown_trust(client: "Client", fetcher: Fetcher) -> str:
    """The hash of the client's root, `targets` and `trust`, as an entry `inputs` names it (docs/formats.md, "Inputs")."""
    meta = client.snapshot.meta
    name = f"{client.root.version}.root.json"
    files = {name: client.root_bytes()}
    for role in OFFLINE:
        one = meta[f"{role}.json"]
        name = f"{one.version}.{role}.json"
        files[name] = data = fetcher.fetch(f"metadata/{name}", limits.TARGETS_METADATA)
        if hashlib.sha256(data).hexdigest() != (one.hashes or {}).get("sha256"):
            raise VerificationError(f"metadata/{name} is not the one that the snapshot names")
    return _input_hash(files)


def _input_hash(files: Mapping[str, bytes]) -> str:
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
