"""Where the right bytes come from when something is put back. Every source may be wrong: what it gives is checked against what was signed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from builder.errors import BuilderError
from builder.pack import Entry
from publish import limits
from publish.errors import PublishError
from publish.guard.expected import Expected
from publish.guard.inventory import LocalInventory
from publish.guard.judge import Right, holds
from publish.release.check import DraftFetcher
from publish.signing.keyring import Keyring
from verifier.errors import VerifierError
from verifier.files import object_path
from verifier.formats.minisign import PublicKey, TrustedComment

if TYPE_CHECKING:
    from builder.site import Site
    from publish.guard.inventory import Inventory
    from publish.release.record import RecordStore
    from publish.workspace import Workspace

__all__ = ["Sources"]


class _Head(msgspec.Struct):
    path: str
    election: str
    release: int


class Sources:
    """The places that may have the bytes of one target's files: what lies on this disk, the ledger rendered again, the targets."""

    def __init__(
        self,
        workspace: Workspace,
        store: RecordStore,
        inventories: Sequence[Inventory],
        keys: Sequence[PublicKey],
        passphrase_file: Path | None,
    ) -> None:
        """`inventories`: every target, the one that is mended last."""
        self._workspace, self._store, self._inventories, self._keys = workspace, store, inventories, keys
        self._keyring = Keyring(workspace, passphrase_file)

    def get(self, right: Right, expected: Expected) -> bytes | None:
        """The right bytes; None if nobody has them."""
        return next((data for data in self._candidates(right, expected) if holds(data, right, self._keys)), None)

    def _candidates(self, right: Right, expected: Expected) -> Iterator[bytes]:
        if (data := expected.data.get(right.file)) is not None:
            yield data
        place = object_path(Entry(right.file, right.length, right.sha256))
        suffix = ".minisig" if right.signature else ""
        paths = [place + suffix, right.file + suffix] if right.kind in {"object", "alias", "hint"} else [right.file]
        local = [one for one in self._inventories if isinstance(one, LocalInventory)]
        for path in paths[:1]:
            for draft in [*self._workspace.build.glob("draft/*"), self._workspace.build / "draft" / "none"]:
                fetcher = DraftFetcher(
                    draft,
                    self._store.directory,
                    self._workspace.keys / "metadata",
                    self._workspace.ledger.directory / "packages",
                )
                with contextlib.suppress(VerifierError, BuilderError, OSError):
                    yield fetcher.fetch(path, limits.TARGET_FILE)
        for folder in local:
            yield from _read(folder, paths, right)
        with contextlib.suppress(BuilderError, PublishError):
            if right.role and (rendered := self._render(right)) is not None:
                yield rendered
        for inventory in self._inventories:
            if inventory not in local:
                yield from _read(inventory, paths, right)

    def _render(self, right: Right) -> bytes | None:
        """Make the file again from the ledger; a signature too is always the same one."""
        data = self._site.render(right.file)
        if data is None or not right.signature or hashlib.sha256(data).hexdigest() != right.sha256:
            return data
        told = msgspec.json.decode(data, type=_Head)
        seconds = int(datetime.fromisoformat(self._workspace.ledger.cuts[told.release - 1].time).timestamp())
        comment = TrustedComment(seconds, told.path, told.election, told.release, right.sha256).encode()
        key = next(one.key for one in reversed(self._keyring.minisign) if one.first <= told.release)
        return key.sign_file(data, comment)

    @cached_property
    def _site(self) -> Site:
        return self._workspace.site()


def _read(inventory: Inventory, paths: Sequence[str], right: Right) -> Iterator[bytes]:
    for path in paths:
        with contextlib.suppress(PublishError):
            for _, found in inventory.read([(path, right.length)]):
                if found is not None and found.data is not None:
                    yield found.data
