"""Scans that may be missing: a logged order withholds them (docs/formats.md, "Withheld scans").

A publisher who could take a scan away unseen could hide what a figure was read from. So each one that is missing must have its entry in the
log of the release, which witnesses have seen, and the text of the order must stand beside it.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from verifier import limits
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import Fetcher
from verifier.files import Failure, MissingScan
from verifier.formats.checkpoint import Checkpoint
from verifier.formats.leaves import Redacted
from verifier.log_entries import check_root, parse_entries, read_entries

__all__ = ["Order", "Redactions", "Withheld", "check_order", "judge_missing", "order_path"]

CONNECTIONS = 8
# Which order withholds a file of a package, all three by their SHA-256; None: none does.
Order = Callable[[str, str], str | None]


class Withheld(NamedTuple):
    """A scan that is withheld, and the order for it; both are paths."""

    path: str
    order: str


class Redactions:
    """What logged orders withhold: the entries of the log whose checked checkpoint is `checkpoint`, read when they are first asked for.

    Thread-safe. Without a checkpoint nothing is withheld.
    """

    def __init__(self, fetcher: Fetcher, checkpoint: Checkpoint | None) -> None:
        self._fetcher, self._checkpoint = fetcher, checkpoint
        self._lock = threading.Lock()
        self._orders: Mapping[tuple[str, str], str] | VerifierError | None = None

    def order(self, package: str, file: str) -> str | None:
        """See Order. VerifierError if the log cannot be had, or is not that of the checkpoint."""
        with self._lock:
            if self._orders is None:
                # A source without scans is asked about very many: its log is read once, even if in vain.
                try:
                    self._orders = self._read()
                except VerifierError as error:
                    self._orders = error
        if isinstance(self._orders, VerifierError):
            raise self._orders.with_traceback(None)
        return self._orders.get((package, file))

    def _read(self) -> Mapping[tuple[str, str], str]:
        if self._checkpoint is None:
            return {}
        with ThreadPoolExecutor(CONNECTIONS) as executor:
            entries = read_entries(self._fetcher, self._checkpoint.size, executor)
        check_root(entries, self._checkpoint)
        found: dict[tuple[str, str], str] = {}
        for leaf in parse_entries(entries):
            if isinstance(leaf, Redacted):
                found.setdefault((leaf.package, leaf.file), leaf.authority)
        return found


def order_path(package: str, order: str) -> str:
    """Where the text of an order stands."""
    return f"packages/{package}/{order}.order.txt"


def check_order(fetcher: Fetcher, package: str, order: str) -> str:
    """Path of the text of an order. VerifierError if it is not there: then nobody can read who wants the scan withheld, and why."""
    path = order_path(package, order)
    if hashlib.sha256(fetcher.fetch(path, limits.ORDER_FILE)).hexdigest() != order:
        raise VerificationError(f"{path} is not the order that was logged")
    return path


def judge_missing(
    missing: Sequence[MissingScan], fetcher: Fetcher, order: Order
) -> tuple[tuple[Withheld, ...], tuple[Failure, ...]]:
    """Which of these scans are withheld by a logged order that is there to be read, and what is wrong with the others."""
    withheld: list[Withheld] = []
    failures: list[Failure] = []
    for path, package, sha256 in missing:
        try:
            if (found := order(package, sha256)) is None:
                failures.append(Failure(path, "missing, and no logged order withholds it"))
            else:
                withheld.append(Withheld(path, check_order(fetcher, package, found)))
        except VerifierError as error:
            failures.append(Failure.of(path, error)._replace(what=f"missing, and it cannot be said why: {error}"))
    return tuple(withheld), tuple(failures)
