"""Putting right what the guard has found wrong: evidence first, then the right bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from builder.pack import Entry
from publish.errors import PublishError
from publish.guard.expected import Expected
from publish.guard.inventory import Inventory
from publish.guard.judge import Right, holds
from publish.guard.listing import is_beside
from publish.guard.sources import Sources
from publish.guard.wrong import Wrong
from verifier.files import object_path
from verifier.formats.minisign import PublicKey

__all__ = ["Mender"]


class _Mending(NamedTuple):
    """What is done about one wrong file, in words, and how; `evidence` are its bytes."""

    done: str
    evidence: bytes | None = None
    put: tuple[str, bytes, str] | None = None
    remove: str | None = None


@dataclass(frozen=True)
class Mender:
    """Mends the files of one target; `sources` may have the right bytes, `keys` are those that sign results files."""

    inventory: Inventory
    sources: Sources
    keys: Sequence[PublicKey]

    def mend(self, batch: Sequence[Wrong], expected: Expected) -> list[str]:
        """What was done about each: evidence first, then the right bytes, several at once."""
        plans = [self._plan(one, expected) for one in batch]
        failed: dict[str, str] = {}
        try:
            self.inventory.set_aside([data for one in plans if (data := one.evidence) is not None])
            kept = f"; what stood there lies in {self.inventory.evidence}"
        except (PublishError, OSError) as error:  # a full disk must not keep the pages wrong
            kept = f"; what stood there could not be kept: {error}"
        # What was added may stand in the way of what is put back.
        failed |= self.inventory.remove([one.remove for one in plans if one.remove])
        failed |= self.inventory.put([one.put for one in plans if one.put])
        return [
            f"could not be put right: {failed[wrong.path]}"
            if wrong.path in failed
            else one.done + (kept if one.evidence is not None else "")
            for wrong, one in zip(batch, plans, strict=True)
        ]

    def _plan(self, wrong: Wrong, expected: Expected) -> _Mending:
        path, right, found, withheld = wrong
        there = found.data if found else None
        if withheld:  # never kept as evidence: where that lies, others may look
            return _Mending("removed", remove=path)
        if right is None:
            if is_beside(path):
                return _Mending("left alone: remove it, or name it in [guard] others")
            return _Mending("removed", there, remove=path)
        if (data := self.sources.get(right, expected)) is None:
            return _Mending(f"nobody has the right bytes: delete build/targets/{self.inventory.name} and publish again")
        evidence = there if there is not None and not holds(there, right, self.keys) else None
        return _Mending("put back", evidence, put=(path, data, _source(right)))


def _source(right: Right) -> str:
    """Where the object lies of which an alias shows the bytes; "" for what is no alias."""
    if right.kind != "alias":
        return ""
    return object_path(Entry(right.file, right.length, right.sha256)) + (".minisig" if right.signature else "")
