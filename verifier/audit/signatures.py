"""Whether the signatures on the lists of an earlier release counted in its time: under the root that the log names for it.

Whether they had expired by then is not asked: nobody knows when they were read.
"""

from collections.abc import Iterator

from verifier import limits
from verifier.audit.lists import Lists, read_right
from verifier.client import explained, load_metadata
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import Fetcher, MissingError
from verifier.mirror.metadata import Listed
from verifier.tuf_api import Root, Snapshot, Targets

__all__ = ["Signatures"]


class Signatures:
    """The signatures of some releases. What has been checked is kept by the hashes of list and delegator, since most releases have most lists in common."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._checked: dict[tuple[str, str, str], Targets | None] = {}

    def problems(self, root: bytes, lists: Lists) -> Iterator[str]:
        """What of a release's snapshot and lists was not signed by those who had the right to under `root`, which was in force then."""
        with explained():
            trusted, signed_bytes, signatures = load_metadata(Root, root)
            trusted.verify_delegate(Root.type, signed_bytes, signatures)
        try:
            with explained():
                load_metadata(Snapshot, lists.snapshot, trusted, Snapshot.type)
        except VerifierError as error:
            yield f"its snapshot: {error}"
        pending: list[tuple[str, Root | Targets, str]] = [(Targets.type, trusted, f"root {trusted.version}")]
        seen = set[str]()
        while pending:
            name, delegator, by = pending.pop()
            if name in seen:
                yield f"two roles delegate to {name}"
                continue
            seen.add(name)
            if (one := lists.named.get(name)) is None:
                yield f"its snapshot leaves out {name}, to which a role delegates"
                continue
            try:
                targets = self._check(one, name, delegator, by, lists.read.get(name))
            except MissingError:
                continue  # told as a list that is not public any more
            except VerifierError as error:
                yield f"{one.path}: {error}"
                continue
            if targets is not None and targets.delegations is not None:
                pending += [(role, targets, one.sha256) for role in targets.delegations.roles or {}]
        if not lists.gone:
            yield from (
                f"its snapshot names {name}, to which nobody delegates" for name in sorted(lists.named.keys() - seen)
            )

    def _check(self, one: Listed, name: str, delegator: Root | Targets, by: str, data: bytes | None) -> Targets | None:
        """The list if it delegates."""
        key = (by, name, one.sha256)
        if key not in self._checked:
            data = data or read_right(self._fetcher, one, limits.TARGETS_METADATA)
            with explained():
                targets, _, _ = load_metadata(Targets, data, delegator, name)
            if not one.path.startswith(f"metadata/{targets.version}."):
                raise VerificationError(f"it is version {targets.version}")
            self._checked[key] = targets if targets.delegations is not None else None
        return self._checked[key]
