"""Asking the witnesses of the trust policy to cosign the log's newest checkpoint, all at once, within a time limit.

Protocol: C2SP tlog-witness (https://c2sp.org/tlog-witness), `add-checkpoint`. A witness that opens no port leaves its cosigned checkpoint at
`<url>/<SHA-256 of the log's origin>/checkpoint` instead, where it is read. What a witness answers is verified like anything else; one that is slow,
down or hostile costs its own cosignature and no more than the time limit.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TypeVar

from verifier import limits
from verifier.errors import FetchError, VerificationError, VerifierError
from verifier.formats import merkle
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.cosignature import cosigned_at
from verifier.formats.note import SignatureLine
from verifier.formats.tlog_policy import Policy, Witness
from verifier.formats.tlog_witness import AddCheckpoint, parse_cosignatures, parse_size
from verifier.http_fetcher import HttpFetcher

__all__ = ["Asked", "ask", "remembered", "shown"]

ADD_CHECKPOINT = "add-checkpoint"
CONFLICT, UNPROCESSABLE = 409, 422


@dataclass(frozen=True)
class Asked:
    """The checkpoint with the log's signature and the cosignatures that it has now, in the policy's order; the size that each witness has
    cosigned by now; and what went wrong, by witness."""

    signed: SignedCheckpoint
    sizes: Mapping[str, int]
    failed: Mapping[str, str]


def ask(policy: Policy, signed: SignedCheckpoint, node: merkle.Node, sizes: Mapping[str, int], seconds: float) -> Asked:
    """Ask every witness with an address that has not cosigned `signed` yet. `sizes`: what each had cosigned, as far as known."""
    there = policy.witnessed(signed)
    missing = [one for one in policy.witnesses if one.url and one.name not in there]
    known, failed = dict(sizes), {one.name: f"no answer within {seconds:g} seconds" for one in missing}
    lines: dict[str, SignatureLine] = {}
    work = partial(_ask, signed=signed, node=node, known=known, seconds=seconds)
    for name, answer in _answers(missing, work, seconds):
        if isinstance(answer, SignatureLine):
            lines[name], known[name] = answer, signed.checkpoint.size
            del failed[name]
        else:
            failed[name] = str(answer)
    ordered = [lines[one.name] for one in policy.witnesses if one.name in lines]
    return Asked(SignedCheckpoint(signed.checkpoint, (*signed.signatures, *ordered)), known, failed)


def remembered(policy: Policy, origin: str, seconds: float) -> dict[str, bytes]:
    """The newest checkpoint of the log `origin` that each witness shows, by its name; what cannot be had in time is left out."""
    return {name: found for name, found in shown(policy, origin, seconds).items() if isinstance(found, bytes)}


def shown(policy: Policy, origin: str, seconds: float) -> dict[str, bytes | VerifierError]:
    """The same, with the error in the place of what cannot be had; MissingError: that witness has cosigned nothing of this log."""
    asked = [one for one in policy.witnesses if one.url]
    silent = {one.name: FetchError(f"{one.url} gave no answer within {seconds:g} seconds") for one in asked}
    return silent | dict(_answers(asked, partial(_shown, origin=origin, seconds=seconds), seconds))


def _shown(witness: Witness, origin: str, seconds: float) -> bytes:
    fetcher = HttpFetcher(witness.url or "", connections=1, timeout=seconds, total=seconds)
    return fetcher.fetch(_place(origin), limits.NOTE_FILE)


T = TypeVar("T")


def _answers(
    witnesses: Sequence[Witness], work: Callable[[Witness], T], seconds: float
) -> list[tuple[str, T | VerifierError]]:
    """What came within the time limit. Whoever has not answered by then is not waited for, also not at the program's end."""
    queue: SimpleQueue[tuple[str, T | VerifierError]] = SimpleQueue()

    def one(witness: Witness) -> None:
        try:
            queue.put((witness.name, work(witness)))
        except VerifierError as error:
            queue.put((witness.name, error))

    for witness in witnesses:
        Thread(target=one, args=(witness,), daemon=True).start()
    found: list[tuple[str, T | VerifierError]] = []
    end = monotonic() + seconds
    while len(found) < len(witnesses):
        try:
            found.append(queue.get(timeout=max(end - monotonic(), 0)))
        except Empty:
            break
    return found


def _ask(
    witness: Witness, signed: SignedCheckpoint, node: merkle.Node, known: Mapping[str, int], seconds: float
) -> SignatureLine:
    fetcher = HttpFetcher(witness.url or "", connections=1, timeout=seconds, total=seconds)
    old = min(known.get(witness.name, 0), signed.checkpoint.size)
    status, answer = _add_checkpoint(fetcher, signed, node, old)
    if status == CONFLICT:
        size = parse_size(answer)
        if size > signed.checkpoint.size:
            # Its bare word must not stop a publisher; the checkpoint that it shows, which has our own signature, does (`remembered`).
            raise VerificationError(
                f"{witness.url} says that it has cosigned {size} entries of this log, and here are {signed.checkpoint.size}"
            )
        status, answer = _add_checkpoint(fetcher, signed, node, size)
    if status == UNPROCESSABLE:
        raise VerificationError(
            f"{witness.url} says that this log does not continue the one that it has cosigned (HTTP 422)"
        )
    if status == 200:
        return _line(witness, signed, parse_cosignatures(answer))
    return _line(witness, signed, _left(witness, fetcher, signed, status))


def _add_checkpoint(fetcher: HttpFetcher, signed: SignedCheckpoint, node: merkle.Node, old: int) -> tuple[int, bytes]:
    size = signed.checkpoint.size
    proof = merkle.consistency_proof(old, size, node) if 0 < old < size else ()
    return fetcher.post(ADD_CHECKPOINT, AddCheckpoint(old, proof, signed.encode()).encode(), limits.NOTE_FILE)


def _left(witness: Witness, fetcher: HttpFetcher, signed: SignedCheckpoint, status: int) -> tuple[SignatureLine, ...]:
    """The cosignatures that a witness without a server has left for us."""
    try:
        found = SignedCheckpoint.parse(fetcher.fetch(_place(signed.checkpoint.origin), limits.NOTE_FILE))
    except VerifierError as error:
        raise FetchError(f"{witness.url} answered HTTP {status}; {error}") from None
    if found.checkpoint != signed.checkpoint:
        raise VerificationError(
            f"{witness.url} answered HTTP {status}, and has left a cosignature of {found.checkpoint.size} entries, not of these {signed.checkpoint.size}"
        )
    return found.signatures


def _place(origin: str) -> str:
    """Where a witness shows what it cosigned last (tlog-witness, "Monitoring")."""
    return f"{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"


def _line(witness: Witness, signed: SignedCheckpoint, lines: tuple[SignatureLine, ...]) -> SignatureLine:
    """The newest cosignature by this witness among `lines`, verified."""
    found: list[tuple[int, SignatureLine]] = []
    for line in lines:
        if (line.name, line.key_id) == (witness.key.name, witness.key.key_id):
            time = cosigned_at(SignedCheckpoint(signed.checkpoint, (line,)), witness.key)
            if time is not None:
                found.append((time, line))
    if not found:
        raise VerificationError(f"{witness.url} answered without a cosignature by {witness.key.name}")
    return max(found, key=lambda one: one[0])[1]
