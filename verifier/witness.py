"""What a witness decides: from a log's checkpoint and what the witness saw of that log before, to an answer. No I/O.

Protocol: C2SP tlog-witness (https://c2sp.org/tlog-witness), "add-checkpoint". The statuses are that section's; where a
log shows two stories, the answer has both checkpoints, unless the section fixes its body (409).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from verifier.errors import FormatError, VerificationError
from verifier.formats import merkle
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.cosignature import cosign
from verifier.formats.encoding import encode_base64
from verifier.formats.note import Note, SignatureLine, VerifierKey, signed_by
from verifier.formats.tlog_policy import Policy
from verifier.formats.tlog_witness import AddCheckpoint, encode_cosignatures, encode_size

__all__ = ["Answer", "Evidence", "Logs", "Request", "accept", "decide", "known_logs", "open_checkpoint", "open_request"]

TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"

Logs = Mapping[str, tuple[VerifierKey, ...]]  # the keys of each origin


@dataclass(frozen=True)
class Request:
    """A log asks for a cosignature: `signed` continues its tree of `old_size` entries by `proof`.

    `signed` has the log's own signatures alone, and they hold. `past` is set where the proof was made from the log's
    tiles and leads to the new root hash: the root hash that the first `old_size` entries have there.
    """

    old_size: int
    proof: tuple[bytes, ...]
    signed: SignedCheckpoint
    past: bytes | None = None


@dataclass(frozen=True)
class Evidence:
    """Two checkpoints that a log signed and that do not fit, or were not shown to fit.

    `kind` is split-view (one size, two root hashes: a proof), fork (`request.past` and its proof show another past: a
    proof), broken-proof (the consistency proof did not hold; it may be the proof that is wrong) or rollback (fewer
    entries than before, at a size that this witness never saw: an old checkpoint, or a log that was cut).
    """

    kind: str
    says: str
    known: SignedCheckpoint
    request: Request

    def encode(self) -> bytes:
        """The file: JSON; `known` is what the witness had cosigned, `shown` what it was shown."""
        document: dict[str, object] = {
            "kind": self.kind,
            "says": self.says,
            "known": self.known.encode().decode(),
            "shown": self.request.signed.encode().decode(),
        }
        if self.request.past is not None:
            document["past"] = encode_base64(self.request.past)
            document["proof"] = [encode_base64(one) for one in self.request.proof]
        return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


@dataclass(frozen=True)
class Answer:
    """What is sent back: HTTP `status` and `body`; and, for the witness's own record, a `message` in plain words.

    `signed` is set with status 200 alone: the checkpoint with the new cosignature, to be stored before it is sent.
    """

    status: int
    message: str
    body: bytes
    content_type: str = TEXT
    evidence: Evidence | None = None
    signed: SignedCheckpoint | None = None


def known_logs(policy: Policy) -> Logs:
    """The keys of each log of a policy, by origin."""
    origins = {log.key.name for log in policy.logs}
    return {origin: tuple(log.key for log in policy.logs if log.key.name == origin) for origin in origins}


def open_request(data: bytes, logs: Logs) -> Request | Answer:
    """Read a request's body as far as it needs no memory: 400, 403 and 404 are told here."""
    try:
        request = AddCheckpoint.parse(data)
    except FormatError as error:
        return _refused(400, str(error))
    signed = open_checkpoint(request.checkpoint, logs)
    return signed if isinstance(signed, Answer) else Request(request.old_size, request.proof, signed)


def open_checkpoint(data: bytes, logs: Logs) -> SignedCheckpoint | Answer:
    """The checkpoint in `data` with its log's signatures alone, which hold; else the answer that refuses it."""
    origin = data.partition(b"\n")[0].decode("utf-8", "replace")
    if origin not in logs:
        return _refused(404, "this witness does not know the checkpoint's log")
    try:
        note = Note.parse(data)
        keys = [key for key in logs[origin] if signed_by(note, key)]
    except (FormatError, VerificationError) as error:
        return _refused(403, str(error))
    if not keys:
        return _refused(403, f"the checkpoint is not signed by a key of {origin} that this witness knows")
    try:
        checkpoint = Checkpoint.parse(note.text)
    except FormatError as error:
        return _refused(400, str(error))
    # Other lines are strangers' words: what we keep and serve again must not be theirs to fill.
    return SignedCheckpoint(checkpoint, tuple(dict.fromkeys(line for key in keys for line in note.lines_of(key))))


def decide(request: Request, latest: SignedCheckpoint | None, same_size: SignedCheckpoint | None) -> Answer:
    """Whether to cosign. `latest` is what was last cosigned of this log, `same_size` what was of the requested size.

    Status 200 means that nothing stands against it: see `accept`. To be called, and its outcome stored, while nothing
    else is decided for this log.
    """
    head, size = request.signed.checkpoint, latest.checkpoint.size if latest else 0
    evidence = _contradiction(request, latest, same_size)
    if request.old_size > head.size:
        message = f"the checkpoint has {head.size} entries, fewer than the old size {request.old_size}"
        return _refused(400, message, evidence)
    if request.old_size != size:
        message = f"asked from {request.old_size} entries; this witness has cosigned {size}"
        return Answer(409, evidence.says if evidence else message, encode_size(size), SIZE, evidence)
    try:
        root = latest.checkpoint.root if latest else merkle.EMPTY_ROOT
        merkle.verify_consistency(size, root, head.size, head.root, request.proof)
    except VerificationError as error:
        if evidence is None and latest is not None and 0 < size < head.size:
            evidence = _unproven(request, latest)
        return _refused(422, str(error), evidence)
    return Answer(200, f"{head.size} entries follow {size}", b"")


def accept(request: Request, key: VerifierKey, time: int, ed25519: Callable[[bytes], bytes]) -> Answer:
    """The answer to a request that `decide` found good: cosigned by `key` at `time` (Unix seconds).

    To be stored durably before it leaves the process.
    """
    head = request.signed.checkpoint
    line: SignatureLine = cosign(head, key, time, ed25519)
    signed = SignedCheckpoint(head, (*request.signed.signatures, line))
    message = f"cosigned {head.size} entries, {encode_base64(head.root)}"
    return Answer(200, message, encode_cosignatures((line,)), signed=signed)


def _contradiction(
    request: Request, latest: SignedCheckpoint | None, same_size: SignedCheckpoint | None
) -> Evidence | None:
    """What the two checkpoints alone say, however the witness was asked."""
    head = request.signed.checkpoint
    if same_size is not None and same_size.checkpoint.root != head.root:
        says = f"SPLIT VIEW: the log {head.origin} signed two trees of {head.size} entries with different root hashes"
        return Evidence("split-view", says, same_size, request)
    if latest is not None and same_size is None and head.size < latest.checkpoint.size:
        says = (
            f"ROLLBACK: the log {head.origin} shows {head.size} entries, and this witness has cosigned "
            f"{latest.checkpoint.size}: an old checkpoint, or a log that was cut"
        )
        return Evidence("rollback", says, latest, request)
    return None


def _unproven(request: Request, latest: SignedCheckpoint) -> Evidence:
    head, size = request.signed.checkpoint, latest.checkpoint.size
    if request.past is not None and request.past != latest.checkpoint.root:
        says = (
            f"FORK: the first {size} of {head.size} entries of the log {head.origin} are not those that were cosigned"
        )
        return Evidence("fork", says, latest, request)
    says = (
        f"NOT PROVEN: nothing shows that the {head.size} entries of the log {head.origin} continue the {size} that were "
        "cosigned: a fork, or a wrong proof; the log's tiles tell"
    )
    return Evidence("broken-proof", says, latest, request)


def _refused(status: int, message: str, evidence: Evidence | None = None) -> Answer:
    if evidence is None:
        return Answer(status, message, f"{message}\n".encode())
    both = evidence.known.encode() + b"\n" + evidence.request.signed.encode()
    return Answer(status, evidence.says, f"{evidence.says}\n{message}\n\n".encode() + both, evidence=evidence)
