"""All places at once: a look at each, then what only shows when they stand beside each other."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from tuf.api.serialization import DeserializationError

from verifier.errors import FormatError, StaleError, VerificationError, VerifierError
from verifier.fetcher import Fetcher
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.monitor.heads import Contradiction, Head, contradictions
from verifier.monitor.look import Look, Problem, look
from verifier.monitor.places import TimedFetcher, side_by_side
from verifier.printable import counted
from verifier.reports import write_whole
from verifier.tuf_api import Metadata, Timestamp

__all__ = ["MEMORY", "Report", "monitor"]

MEMORY = "seen before"  # the place of a checkpoint that this monitor keeps from earlier looks
NEWEST = "newest.checkpoint"
GRACE_SECONDS = 5  # for what a place sent in time


@dataclass(frozen=True)
class Report:
    """What all places showed at `time`. `release` and `signed` (Unix seconds): the newest that any of them ever showed this
    monitor; None if none ever did."""

    time: datetime
    looks: tuple[Look, ...]
    release: int | None
    signed: int | None
    contradictions: tuple[Contradiction, ...]

    def lag(self, one: Look) -> tuple[int, int] | None:
        """How far a place is behind the newest, in seconds between the signatures and in releases."""
        if one.release is None or one.signed is None or self.release is None or self.signed is None:
            return None
        return self.signed - one.signed, self.release - one.release

    @property
    def exit_code(self) -> int:
        """4 if anything is altered or split, else 5 if stale or lagging, else 1 if a place could not be had, else 0."""
        kinds = {problem.kind for one in self.looks for problem in one.problems}
        if "altered" in kinds or any(each.certain for each in self.contradictions):
            return VerificationError.exit_code
        if "stale" in kinds:
            return StaleError.exit_code
        return VerifierError.exit_code if kinds or self.contradictions else 0


def monitor(
    fetchers: Mapping[str, Fetcher],
    state: Path,
    root: bytes,
    now: datetime,
    *,
    sample: int | None,
    seconds: float,
    max_lag: int,
    chance: random.Random,
) -> Report:
    """Look at all places, for at most `seconds`, and compare what they show.

    Each place has its own client, with its own folder in `state`: what one place shows never counts as another's, and none
    may go back behind what it showed before. `sample`: files to check of each, None for all. `max_lag`: how many seconds a
    place may be behind the newest.
    """
    timed = {place: TimedFetcher(place, fetcher, seconds) for place, fetcher in fetchers.items()}
    folders = {place: state / "places" / hashlib.sha256(place.encode()).hexdigest() for place in fetchers}
    jobs = {
        place: partial(_safely, place, fetcher, folders[place], root, now, sample, chance)
        for place, fetcher in timed.items()
    }
    looks = side_by_side(jobs, seconds + GRACE_SECONDS)
    late = Problem("unreachable", f"did not answer within {seconds:g} seconds")
    told = [looks[place] if place in looks else Look(place, problems=[late]) for place in fetchers]
    newest = [known for folder in folders.values() if (known := _newest_of(folder))]
    newest += [(one.release, one.signed) for one in told if one.release is not None and one.signed is not None]
    release = max((number for number, _ in newest), default=None)
    signed = max((version for _, version in newest), default=None)
    fresh = {place: TimedFetcher(place, fetcher, seconds) for place, fetcher in fetchers.items()}
    found = _compare_heads(told, fresh, state / NEWEST, seconds)
    report = Report(now, tuple(told), release, signed, tuple(found))
    for one in told:
        if (lag := report.lag(one)) and lag[0] > max_lag:
            one.problems.append(
                Problem("stale", f"lags {counted(lag[0], 'second')} and {counted(lag[1], 'release')} behind the newest")
            )
    return report


def _safely(
    place: str, fetcher: Fetcher, folder: Path, root: bytes, now: datetime, sample: int | None, chance: random.Random
) -> Look:
    try:
        return look(place, fetcher, folder, root, now, sample, chance)
    except Exception as error:  # what one place brings about here must not silence the others
        return Look(
            place, problems=[Problem("unreachable", f"could not be looked at: {type(error).__name__}: {error}")]
        )


def _newest_of(folder: Path) -> tuple[int, int] | None:
    """Release and version of the newest timestamp that verified, now or before, as the client keeps it."""
    try:
        signed = Metadata[Timestamp].from_bytes((folder / "timestamp.json").read_bytes()).signed
    except (OSError, DeserializationError):
        return None
    return signed.snapshot_meta.version, signed.version


def _compare_heads(
    looks: Sequence[Look], fetchers: Mapping[str, Fetcher], memory: Path, seconds: float
) -> list[Contradiction]:
    """Contradictions among what the places show and what was seen before; where there is none, the newest is kept."""
    heads = [
        Head(signed, (one.place,), (one.place,) if one.serves_log else ()) for one in looks for signed in one.heads
    ]
    with suppress(OSError, FormatError):  # the first look, or a disk that lost it
        heads.append(Head(SignedCheckpoint.parse(memory.read_bytes()), (MEMORY,)))
    found = contradictions(heads, fetchers, seconds)
    if heads and not found:
        newest = max(heads, key=lambda head: head.checkpoint.size)
        write_whole(memory, newest.signed.encode().decode())
    return found
