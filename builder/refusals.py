"""What the ledger is told of refused packages, so that nobody can say that a hand-in never came.

Rules: docs/formats.md, "Officials", "Refusals".
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from builder import limits
from builder.intake import Broken, Verdict
from builder.ledger import Ledger, RefusedRecord
from builder.officials import Admission
from builder.recap import COVER, read_hand_in

__all__ = ["Refusals", "Refused"]

Refused = tuple[Path, tuple[Broken, ...]]


class Refusals:
    """What the ledger is told of refusals: each package once for each enrolled key that signed it, and once without.

    Whoever has a key can make packages without end, and the ledger keeps every record: in one run, only so many for each enrolled key that counts now,
    and as many for all others together. Keys that no longer count may long be in other hands.
    """

    def __init__(self, ledger: Ledger, admission: Admission, election: str) -> None:
        self._ledger, self._admission, self._election = ledger, admission, election
        self._recorded = {(one.package, one.signer) for one in ledger.records if isinstance(one, RefusedRecord)}
        self._count: Counter[str | None] = Counter()
        self.unrecorded = 0

    def signers(self, accepted: Sequence[Verdict]) -> dict[str, str]:
        """The keys that signed accepted packages, by the packages' names."""
        packages = [verdict.package for verdict in accepted]
        signers = {
            one.name: self._admission.signer(one.files[COVER], one.signature, self._election)[0] for one in packages
        }
        return {name: signer for name, signer in signers.items() if signer is not None}

    def records(self, refused: Iterable[Refused]) -> list[RefusedRecord]:
        """The new records. What the ledger has accepted is never recorded as refused: a copy of it was damaged."""
        return [record for path, broken in refused if (record := self._record(path, broken))]

    def _record(self, path: Path, broken: tuple[Broken, ...]) -> RefusedRecord | None:
        found = read_hand_in(path)
        if found is None or found.name in self._ledger:
            return None
        signer, is_current = self._admission.signer(found.cover, found.signature, self._election)
        if (found.name, signer) in self._recorded:
            return None
        sender = signer if is_current else None
        if self._count[sender] == limits.REFUSED_RECORDS_COUNT:
            self.unrecorded += 1
            return None
        self._count[sender] += 1
        self._recorded.add((found.name, signer))
        signature = None if found.signature is None else hashlib.sha256(found.signature).hexdigest()
        return RefusedRecord(found.name, tuple(sorted({one.rule for one in broken})), signature, signer)
