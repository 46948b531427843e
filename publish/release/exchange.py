"""The exchange: a folder or private prefix where a draft waits for its second signer.

Format: docs/formats.md, "Exchange". Nothing that is read here is believed: each file is held against the hash in `draft.json`, and what that says
against what the reader made himself.
"""

import hashlib
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from builder.inputs import archive_names, kept_archive
from publish.errors import PendingError, PublishError
from publish.redaction import public_files
from publish.release.draft import Draft, DraftState
from publish.targets import Target
from publish.workspace import Workspace
from verifier.printable import counted

__all__ = ["RECORDS", "WHOLE_SIGNATURES", "Answer", "Exchange", "Shared", "await_answer", "share"]

RECORDS = "records.jsonl"
WHOLE_SIGNATURES = "whole-signatures"  # where there are full packs: of every results file
POLL_SECONDS = 0.5

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,15}\.[a-z0-9-]+\.json\Z")]
_LIST = re.compile(r"[1-9][0-9]{0,15}\.[a-z0-9-]+\.json")
PathName = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?\Z", max_length=256)
]
Number = Annotated[int, msgspec.Meta(ge=1)]
T = TypeVar("T")


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Current(_Part, frozen=True):
    format: Literal["terbit-draft-1"]
    release: Number


class Shared(_Part, frozen=True):
    """`draft.json`: what lies in `draft/<release>/`, by path: length and SHA-256."""

    format: Literal["terbit-draft-1"]
    release: Number
    files: dict[PathName, tuple[Annotated[int, msgspec.Meta(ge=0)], Sha256]]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(_encoder.encode(self)).hexdigest()

    @property
    def metadata(self) -> list[str]:
        """Names of the metadata that wait for signatures."""
        return [name for path in self.files if _LIST.fullmatch(name := path.removeprefix("metadata/"))]

    @property
    def is_whole(self) -> bool:
        """True once the role `site` is among them, which comes last."""
        return f"{self.release}.site.json" in self.metadata


class Answer(_Part, frozen=True):
    """A second signer's answer to the draft with hash `draft`: `signatures` by metadata file and keyid, or what `differs` from his own."""

    format: Literal["terbit-signatures-1"]
    draft: Sha256
    signatures: dict[FileName, dict[Sha256, str]]
    differs: tuple[str, ...] = ()

    def encode(self) -> bytes:
        return _encoder.encode(self)


_encoder = msgspec.json.Encoder(order="sorted")


class Exchange:
    """`draft/`, `packages/` and `inputs/` at a place that publisher and second signer both reach. PublishError where what lies there is not as it must be."""

    def __init__(self, place: Target) -> None:
        self.place = place

    def put(self, release: int, path: str, data: bytes) -> None:
        """Lay one file of a draft out; nobody looks at it before it is announced."""
        self.place.put_hint(f"draft/{release}/{path}", data)

    def announce(self, shared: Shared) -> None:
        """All that `shared` names is there."""
        self.put(shared.release, "draft.json", _encoder.encode(shared))
        self.place.put_hint("draft/current.json", _encoder.encode(_Current("terbit-draft-1", shared.release)))

    def shared(self, release: int) -> Shared | None:
        """The draft of a release, None if there is none."""
        return self._read(f"draft/{release}/draft.json", Shared)

    def current(self) -> Shared | None:
        """The draft that waits, if one does."""
        current = self._read("draft/current.json", _Current)
        return self.shared(current.release) if current else None

    def fetch(self, shared: Shared, path: str) -> bytes:
        """One file of a draft, as `draft.json` names it."""
        place = f"draft/{shared.release}/{path}"
        if path not in shared.files:
            raise PublishError(f"{self.place.name}: {place} is not part of the draft")
        length, sha256 = shared.files[path]
        seen = self.place.read(place)
        if seen is None or len(seen.data) != length or hashlib.sha256(seen.data).hexdigest() != sha256:
            raise PublishError(
                f"{self.place.name}: {place} is not what draft.json names; it may be under way: try again"
            )
        return seen.data

    def answer(self, release: int, keyid: str) -> Answer | None:
        """The answer of the second signer with this key, None if there is none."""
        return self._read(f"draft/{release}/signatures/{keyid}.json", Answer)

    def put_answer(self, release: int, keyid: str, answer: Answer) -> None:
        self.put(release, f"signatures/{keyid}.json", answer.encode())

    def shows(self, release: int, keyid: str, answer: Answer) -> bool:
        """Whether this very answer lies there: whoever can write into the exchange could have put another one in its place."""
        seen = self.place.read(f"draft/{release}/signatures/{keyid}.json")
        return seen is not None and seen.data == answer.encode()

    def _read(self, path: str, kind: type[T]) -> T | None:
        seen = self.place.read(path)
        try:
            return msgspec.json.decode(seen.data, type=kind) if seen else None
        except (ValueError, RecursionError) as error:
            raise PublishError(f"{self.place.name}: {path}: {error}; remove it, and have it made again") from None


def share(exchange: Exchange, workspace: Workspace, draft: Draft, state: DraftState) -> Shared:
    """Lay a draft out for its second signer, as far as it does not lie there already."""
    there = exchange.shared(state.release)
    if there is None:
        exchange.place.put_objects(_inputs(workspace, state), lambda _: None)
    files = {}
    for path, source in _draft_files(workspace, draft, state):
        data = source.read_bytes()
        files[path] = (len(data), hashlib.sha256(data).hexdigest())
        if there is None or there.files.get(path) != files[path]:
            exchange.put(state.release, path, data)
    shared = Shared("terbit-draft-1", state.release, files)
    if exchange.current() != shared:
        exchange.announce(shared)
    return shared


def _draft_files(workspace: Workspace, draft: Draft, state: DraftState) -> Iterator[tuple[str, Path]]:
    """The ledger's records, and of the draft what its second signer needs to compare and to finish it."""
    yield RECORDS, workspace.ledger.path
    folders = {"files": draft.files, "results-signatures": draft.signatures, WHOLE_SIGNATURES: draft.whole.signatures}
    for name, folder in folders.items():
        yield from ((f"{name}/{path.name}", path) for path in sorted(folder.glob("*.*")))
    for role in state.changed:
        name = f"{state.roles[role].version}.{role}.json"
        yield f"metadata/{name}", draft.metadata / name


def await_answer(
    exchange: Exchange, workspace: Workspace, draft: Draft, state: DraftState, keyids: Iterable[str], seconds: float
) -> Answer:
    """The answer of whichever of `keyids` has signed the draft as it is now, for which `seconds` are waited.

    Raises:
        PendingError: there is none yet, or he made something else of the same inputs.
    """
    shared, end = share(exchange, workspace, draft, state), time.monotonic() + seconds
    while True:
        for keyid in keyids:
            answer = exchange.answer(state.release, keyid)
            if answer is None or answer.draft != shared.sha256:
                continue
            if answer.differs:
                raise PendingError(
                    f"the second signer does not sign release {state.release}, and nothing of it was published: {counted(len(answer.differs), 'difference')}, the "
                    f"first: {answer.differs[0]}. One of the two machines is not what it should be: find out which"
                )
            return answer
        if time.monotonic() >= end:
            raise PendingError(
                f"release {state.release} waits for the second signer (terbit rebuild-and-sign) and nothing of it was published"
            )
        time.sleep(POLL_SECONDS)


def _inputs(workspace: Workspace, state: DraftState) -> Iterator[tuple[str, bytes]]:
    """What the release is made from and the last one was not: packages, content, templates."""
    ledger = workspace.ledger
    for record in ledger.packages[state.packages :]:
        yield from public_files(ledger, record)
    for name, release in archive_names(ledger.cuts).items():
        if release > state.since:
            yield f"inputs/{name}", kept_archive(ledger.directory, name)
