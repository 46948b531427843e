"""One look at one place, with a TUF client whose state belongs to that place alone."""

from __future__ import annotations

import random
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from verifier import limits
from verifier.client import Client
from verifier.errors import StaleError, VerificationError, VerifierError
from verifier.fetcher import Fetcher, MissingError
from verifier.files import Batch, Failure, SignedFile, check_batch, is_results
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.tlog_policy import Policy
from verifier.log import CHECKPOINT, POLICY_PATH, check_proof, proof_path, released
from verifier.monitor.earlier import earlier_copies
from verifier.packages import check_packages
from verifier.results_signature import MinisignKeys
from verifier.site import KEYS_PATH, ROLES_WITHOUT_RESULTS, check_site, signed_file
from verifier.withheld import Redactions, judge_missing

if TYPE_CHECKING:
    from verifier.tuf_api import Timestamp

__all__ = ["Kind", "Look", "Problem", "look"]

FRONT_PAGE = "index.html"
SAMPLED_ROLES = 4
SAMPLED_PACKAGES = 2
CONNECTIONS = 8

Kind = Literal["altered", "stale", "unreachable"]
KINDS: dict[int, Kind] = {VerificationError.exit_code: "altered", StaleError.exit_code: "stale"}


class Problem(NamedTuple):
    """What is wrong at a place. `altered`: not what was published; `stale`: an old state; `unreachable`: could not be had."""

    kind: Kind
    what: str


@dataclass
class Look:
    """What was seen at `place`: its `release`, `signed` at (Unix seconds, the timestamp's version) and as current until
    `expires`; how many `files` were checked; for a sample also of how many that are `listed` in the roles that were read,
    and whether roles were left `unread`; the log's checkpoints that it shows, `proved` being that of the release's proof;
    and its problems."""

    place: str
    release: int | None = None
    signed: int | None = None
    expires: datetime | None = None
    files: int = 0
    listed: int | None = None
    unread: bool = False
    heads: list[SignedCheckpoint] = field(default_factory=list)
    proved: SignedCheckpoint | None = None
    serves_log: bool = False
    problems: list[Problem] = field(default_factory=list)

    def failed(self, error: VerifierError, where: str = "") -> None:
        """Note an error as a problem of this place."""
        self.problems.append(
            Problem(KINDS.get(error.exit_code, "unreachable"), f"{where}{': ' if where else ''}{error}")
        )

    def redactions(self, fetcher: Fetcher) -> Redactions:
        """What the log that the release was proved by withholds."""
        return Redactions(fetcher, self.proved.checkpoint if self.proved else None)

    def signed_as(self, timestamp: Timestamp) -> None:
        """Note what the place's verified timestamp says."""
        self.release, self.signed = timestamp.snapshot_meta.version, timestamp.version
        self.expires = timestamp.expires


def look(
    place: str, fetcher: Fetcher, state: Path, root: bytes, now: datetime, sample: int | None, chance: random.Random
) -> Look:
    """Check what `place` shows: its metadata, its log, and `sample` of its files, or all of them where that is None.

    `state` is the folder of this place's client: what it showed before must not be taken back. Raises nothing that a place
    can cause; all of it is in the result.
    """
    seen = Look(place)
    client = None
    try:
        client = Client(fetcher, state, now, root)
        client.refresh()
    except VerifierError as error:
        seen.failed(error)
        if isinstance(error, StaleError) and client is not None:
            with suppress(KeyError):  # it is the root that has expired
                seen.signed_as(client.timestamp)
        return seen
    seen.signed_as(client.timestamp)
    check_files = _check_all if sample is None else partial(_check_some, sample=sample, chance=chance)
    for check in (_check_log, check_files):
        try:
            check(client, fetcher, seen)
        except VerifierError as error:
            seen.failed(error)
    return seen


def _check_log(client: Client, fetcher: Fetcher, seen: Look) -> None:
    """The release's proof, and the checkpoint that the place shows. A site whose offline keys name no log has none."""
    if not client.lists(POLICY_PATH):
        return
    policy, path = Policy.parse(client.target(POLICY_PATH)), proof_path(client.snapshot.version)
    try:
        proof, _ = check_proof(fetcher.fetch(path, limits.PROOF_FILE), released(client), policy)
        seen.heads.append(proof.checkpoint)
        seen.proved = proof.checkpoint
    except MissingError as error:
        seen.failed(VerificationError(f"{error}, though the offline keys name a log"))
    except VerifierError as error:
        seen.failed(error, path)
    try:
        signed = SignedCheckpoint.parse(fetcher.fetch(CHECKPOINT, limits.NOTE_FILE))
        policy.witnessed(signed)
    except MissingError:
        return  # a mirror may leave the log to others
    except VerifierError as error:
        seen.failed(error, CHECKPOINT)
    else:
        seen.heads.append(signed)
        seen.serves_log = True


def _check_all(client: Client, fetcher: Fetcher, seen: Look) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as executor:
        report = check_site(client, fetcher, executor, signatures=True, order=seen.redactions(fetcher).order)
    seen.files = report.files
    _judge(client, fetcher, seen, report.failures, only=None)


def _check_some(client: Client, fetcher: Fetcher, seen: Look, *, sample: int, chance: random.Random) -> None:
    """The front page and some other files of some roles, at each path where they are served, and some recap packages."""
    names = sorted(name.removesuffix(".json") for name in client.snapshot.meta)
    chosen = chance.sample(names, min(SAMPLED_ROLES, len(names)))
    # A shard's role is named after its group's, which delegates to it.
    only = {"targets", "site", *chosen, *(name.partition("-")[0] for name in chosen)}
    seen.unread = not only.issuperset(names)
    failures: list[Failure] = []
    results: list[SignedFile] = []
    others: list[SignedFile] = []
    owners: dict[str, str] = {}
    for role in client.walk(failed=lambda name, error: failures.append(Failure.of(f"role {name}", error)), only=only):
        for path, target in role.targets.targets.items():
            try:
                file = signed_file(role, path, target, owners)
            except VerificationError as error:
                failures.append(Failure.of(path, error))
                continue
            is_signed = role.name not in ROLES_WITHOUT_RESULTS and is_results(path)
            (results if is_signed else others).append(file)
    seen.listed = len(results) + len(others)
    picked = set(chance.sample([*results, *others], min(sample, seen.listed)))
    picked |= {file for file in others if file.path == FRONT_PAGE}
    keys = MinisignKeys.parse(client.target(KEYS_PATH))
    packages: set[tuple[bytes, bytes]] = set()
    for files, signed_by in ((results, keys), (others, None)):
        report = check_batch(Batch(fetcher, [file for file in files if file in picked], aliases=True, keys=signed_by))
        failures += report.failures
        packages |= report.packages
        seen.files += report.files
    sources = sorted((name.decode(), signature.decode()) for name, signature in packages)
    found = check_packages(fetcher, chance.sample(sources, min(SAMPLED_PACKAGES, len(sources))))
    failures += [*found.failures, *judge_missing(found.missing, fetcher, seen.redactions(fetcher).order)[1]]
    _judge(client, fetcher, seen, failures, only=only)


def _judge(
    client: Client, fetcher: Fetcher, seen: Look, failures: Sequence[Failure], only: Container[str] | None
) -> None:
    """Turn failures into problems. A path that still shows the release before this one is stale: a cache may do so for a
    while, and alters nothing."""
    late = earlier_copies(client, fetcher, [one.path for one in failures if not one.unanswered], only)
    for one in failures:
        if one.path in late:
            seen.problems.append(Problem("stale", f"{one.path}: still the copy of the release before"))
        else:
            kind: Kind = "unreachable" if one.unanswered else "stale" if one.stale else "altered"
            seen.problems.append(Problem(kind, f"{one.path}: {one.what}"))
