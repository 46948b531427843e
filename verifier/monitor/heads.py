"""Do the places show one log? Two checkpoints that the log has signed and that do not belong to one tree are the proof that
it told two stories; both are kept, to be published."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

from verifier.errors import FetchError, VerifierError
from verifier.fetcher import Fetcher, MissingError
from verifier.formats import merkle
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.tiles import node_reader
from verifier.log import tile_reader
from verifier.monitor.places import side_by_side

__all__ = ["Contradiction", "Head", "contradictions", "keep"]


Answer = Literal["one log", "fork", "no proof", "silent"]


@dataclass(frozen=True)
class Head:
    """A checkpoint that the log has signed; the `places` that show it, and those of them that serve a log: they owe the
    tiles that it stands for."""

    signed: SignedCheckpoint
    places: tuple[str, ...]
    owing: tuple[str, ...] = ()

    @property
    def checkpoint(self) -> Checkpoint:
        return self.signed.checkpoint


@dataclass(frozen=True)
class Contradiction:
    """Two heads of one log, of which nothing shows that the second continues the first. `certain`: it does not, or who
    shows it owes the proof; otherwise nobody who could have the proof was to be reached."""

    first: Head
    second: Head
    what: str
    certain: bool


def contradictions(heads: Iterable[Head], fetchers: Mapping[str, Fetcher], seconds: float) -> list[Contradiction]:
    """Hold the heads of each log against each other, in the order of their sizes.

    Proofs come from the tiles of any place that has them, all asked at once for at most `seconds`: a proof holds or does not,
    whoever sends it.
    """
    pairs = [
        (first, second)
        for first, second in pairwise(_merge(heads))
        if first.checkpoint.origin == second.checkpoint.origin
    ]
    jobs = {place: partial(_prove_all, fetcher, pairs) for place, fetcher in fetchers.items()} if pairs else {}
    answers = side_by_side(jobs, seconds)
    found = (
        _judge(*pair, {place: told[number] for place, told in answers.items()}) for number, pair in enumerate(pairs)
    )
    return [each for each in found if each is not None]


def _judge(first: Head, second: Head, told: Mapping[str, Answer]) -> Contradiction | None:
    old, new = first.checkpoint.size, second.checkpoint.size
    if old == new:
        return Contradiction(first, second, f"SPLIT VIEW: the log shows two trees of {new} entries", certain=True)
    if "one log" in told.values():
        return None
    if "fork" in told.values():
        return Contradiction(
            first, second, f"FORK: the tree of {new} entries does not continue that of {old}", certain=True
        )
    what = f"no proof that the tree of {new} entries continues that of {old}"
    if any(told.get(place) == "no proof" for place in second.owing):
        return Contradiction(first, second, f"SPLIT VIEW: {what}", certain=True)
    return Contradiction(first, second, f"{what}: nobody who serves that log was to be reached", certain=False)


def _merge(heads: Iterable[Head]) -> list[Head]:
    """One head for each tree, by origin and size."""
    merged: dict[tuple[str, int, bytes], Head] = {}
    for head in heads:
        one = head.checkpoint
        known = merged.setdefault((one.origin, one.size, one.root), head)
        merged[one.origin, one.size, one.root] = Head(
            known.signed,
            tuple(dict.fromkeys((*known.places, *head.places))),
            tuple(dict.fromkeys((*known.owing, *head.owing))),
        )
    return [merged[key] for key in sorted(merged)]


class _Asked:
    """Remembers whether a place left a question open."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher, self.silent = fetcher, False

    def fetch(self, path: str, max_length: int) -> bytes:
        """See verifier.fetcher.Fetcher."""
        try:
            return self._fetcher.fetch(path, max_length)
        except FetchError as error:
            self.silent |= not isinstance(error, MissingError)
            raise

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See verifier.fetcher.Fetcher."""
        return self.fetch(path, max_length), False


def _prove_all(fetcher: Fetcher, pairs: Sequence[tuple[Head, Head]]) -> list[Answer]:
    return [_prove(_Asked(fetcher), first.checkpoint, second.checkpoint) for first, second in pairs]


def _prove(asked: _Asked, old: Checkpoint, new: Checkpoint) -> Answer:
    """What one place's tiles say: they count only where they are those of the `new` tree."""
    try:
        node = node_reader(new.size, tile_reader(asked))
        past, proof = merkle.tree_hash(old.size, node), merkle.consistency_proof(old.size, new.size, node)
        merkle.verify_consistency(old.size, past, new.size, new.root, proof)
    except VerifierError:
        return "silent" if asked.silent else "no proof"
    return "one log" if past == old.root else "fork"


def keep(found: Iterable[Contradiction], folder: Path) -> list[Path]:
    """Write both checkpoints of each contradiction, with the log's signatures, to files of `folder` that can be published."""
    kept: list[Path] = []
    for each in found:
        for head in (each.first, each.second):
            data = head.signed.encode()
            file = folder / f"{head.checkpoint.size}-{hashlib.sha256(data).hexdigest()[:16]}.checkpoint"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            except OSError as error:
                raise VerifierError(f"the evidence {file} cannot be written: {error.strerror}") from None
            kept.append(file)
    return list(dict.fromkeys(kept))
