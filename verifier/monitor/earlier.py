"""Which copies at the paths that browsers use are those of the release before: signed, and only late."""

from collections.abc import Collection, Container

from tuf.api.exceptions import RepositoryError

from verifier import limits
from verifier.client import Client
from verifier.errors import VerifierError
from verifier.fetcher import Fetcher
from verifier.files import SignedFile, check_signature, object_path
from verifier.formats import canonical_json
from verifier.formats.metadata_fields import listed_targets
from verifier.mirror.metadata import Listed, named_metadata, right_bytes
from verifier.results_signature import MinisignKeys
from verifier.site import KEYS_PATH
from verifier.tuf_api import Metadata, Snapshot

__all__ = ["earlier_copies"]

MINISIG = ".minisig"


def earlier_copies(client: Client, fetcher: Fetcher, paths: Collection[str], only: Container[str] | None) -> set[str]:
    """Those of `paths` whose bytes are what the release before the refreshed `client`'s lists there, or its signature.

    `only`: the roles that list them, as for Client.walk. What cannot be verified is not among them: it stays an altered file.
    """
    late: set[str] = set()
    named: dict[str, Listed] | None = None
    for role in client.walk(failed=lambda name, error: None, only=only) if paths else ():
        for path in [path for path in paths if path.removesuffix(MINISIG) in role.targets.targets]:
            try:
                named = named if named is not None else _roles_before(client, fetcher)
                if role.name in named:
                    _check_earlier(client, fetcher, path, named[role.name])
                    late.add(path)
            except VerifierError:
                continue
    return late


def _check_earlier(client: Client, fetcher: Fetcher, path: str, role: Listed) -> None:
    """Return if what lies at `path` is what `role`, of the release before, lists there."""
    data = fetcher.fetch(role.path, min(role.length, limits.TARGETS_METADATA))
    right_bytes(role.sha256)(data)
    name = path.removesuffix(MINISIG)
    _, sha256 = listed_targets(data).get(name, (0, ""))
    if path == name:
        right_bytes(sha256)(fetcher.fetch(path, limits.TARGET_FILE))
        return
    results = fetcher.fetch(object_path(SignedFile(name, sha256, 0)), limits.RESULTS_FILE)
    right_bytes(sha256)(results)
    keys = MinisignKeys.parse(client.target(KEYS_PATH))
    check_signature(fetcher.fetch(path, limits.MINISIGN_FILE), name, results, keys)


def _roles_before(client: Client, fetcher: Fetcher) -> dict[str, Listed]:
    """The roles of the release before, as its snapshot names them, signed by the snapshot's present keys."""
    number = client.snapshot.version - 1
    data = fetcher.fetch(f"metadata/{number}.snapshot.json", limits.SNAPSHOT_METADATA)
    try:
        metadata = Metadata[Snapshot].from_bytes(data)
        client.root.verify_delegate(
            Snapshot.type, canonical_json.encode(metadata.signed.to_dict()), metadata.signatures
        )
        return named_metadata(data) if metadata.signed.version == number else {}
    except (RepositoryError, ValueError, TypeError, KeyError):
        return {}
