"""The second signer: builds the publisher's release on another machine, compares every byte, and only then adds its signatures.

A publisher whose machine is broken into can then make nothing public that does not follow from the inputs. What is compared are the signed lists: they
have the SHA-256 of every page and every results file, and this machine has made each of them itself.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from builder import durable
from builder.errors import BuilderError
from builder.pack import listing, read_index, read_pack
from builder.site import is_lasting
from publish.errors import PublishError
from publish.progress import Stages
from publish.release import make
from publish.release.draft import Draft, DraftState
from publish.release.exchange import RECORDS, WHOLE_SIGNATURES, Answer, Exchange, Shared
from publish.release.follow import Follower
from publish.release.jobs import Jobs, Plan, Runner, Workers, save_tallies
from publish.release.record import Base, Record, RecordStore
from publish.release.whole import make_whole
from publish.signing.keyring import Keyring
from publish.signing.repository import signatures_of, signed_part
from publish.signing.signable import first_difference
from publish.targets import Seen
from publish.targets.open import open_exchange, open_targets
from publish.workspace import Workspace

__all__ = ["Outcome", "SecondSigner"]

SITE, SNAPSHOT = "site", "snapshot"
NOTHING = Seen(b"", "")  # this record is of no target
ANSWER = "answer.json"
DIFFERENCES_TOLD = 200
EXCERPT = 40


class Outcome(NamedTuple):
    """What became of a draft: how many signed lists were compared, what differs, and whether all is signed or its last part is still to come."""

    release: int
    lists: int
    differences: tuple[str, ...]
    complete: bool


class SecondSigner:
    """One run over the second signer's workspace, at time `now`."""

    def __init__(
        self, workspace: Workspace, stages: Stages, now: datetime, passphrase_file: Path | None = None
    ) -> None:
        self.workspace, self.stages, self.now = workspace, stages, now
        self.keyring = Keyring(workspace, passphrase_file)
        place = open_exchange(workspace)
        self.exchange, self.places = Exchange(place), [place, *open_targets(workspace)]
        self.folder = workspace.build / "second"

    def run(self, *, again: bool) -> Outcome | None:
        """Answer the draft that waits; None if none does. `again`: also one that was answered with differences."""
        shared = self.exchange.current()
        if shared is None:
            return None
        keyids = self.keyring.keyids(ours=True)
        if not keyids:
            raise PublishError(
                f"none of the keys that sign releases is in {self.workspace.keys / 'online'}; put yours there"
            )
        before = self._last_answer()
        answered = before is not None and before.draft == shared.sha256 and not (again and before.differs)
        if before is not None and answered and self.exchange.shows(shared.release, keyids[0], before):
            return None
        follower = Follower(self.workspace, self.keyring.trust, self.places, self.now)
        with self.stages.stage("follow"):
            differences = follower.follow(self.exchange.fetch(shared, RECORDS), shared.release)
        signatures: dict[str, dict[str, str]] = {}
        if not differences:
            self.keyring.check()
            workers = Workers(self.workspace.directory, self.workspace.config.workers)
            try:
                signatures, differences = _Rebuild(self, shared, workers).compare()
            finally:
                workers.stop()
        told = tuple(differences[:DIFFERENCES_TOLD])
        answer = Answer("terbit-signatures-1", shared.sha256, {} if differences else signatures, told)
        self.exchange.put_answer(shared.release, keyids[0], answer)
        self.folder.mkdir(parents=True, exist_ok=True)
        durable.write_file(self.folder / ANSWER, answer.encode())
        return Outcome(shared.release, len(shared.metadata), tuple(differences), shared.is_whole)

    def _last_answer(self) -> Answer | None:
        """What this machine has answered last, by its own record."""
        try:
            return msgspec.json.decode((self.folder / ANSWER).read_bytes(), type=Answer)
        except (FileNotFoundError, ValueError):
            return None


class _Rebuild:
    """The release of a draft, made here."""

    def __init__(self, signer: SecondSigner, shared: Shared, workers: Workers) -> None:
        self.workspace, self.keyring, self.stages = signer.workspace, signer.keyring, signer.stages
        self.exchange, self.places, self.shared, self.workers = signer.exchange, signer.places, shared, workers
        self._promote(signer.folder)
        self.store = RecordStore(signer.folder / "record", "")
        self.base = Base(self.store, NOTHING)
        self.draft = Draft(signer.folder / "draft" / str(shared.release))
        with self.stages.stage("tally"):
            self.site = self.workspace.site()
        jobs = Jobs(
            Plan(self.draft.directory, self.base.release, record=self.base.directory), self.workspace, self.site
        )
        self.runner = Runner(workers, jobs, lambda: save_tallies(self.draft, self.site.tallies))

    def _promote(self, folder: Path) -> None:
        """What was signed for earlier releases is what this one goes on from; other drafts are of no use any more."""
        store = RecordStore(folder / "record", "")
        drafts = {int(path.name): Draft(path) for path in folder.glob("draft/*")}
        for release, draft in sorted(drafts.items()):
            if release == self.shared.release:
                continue
            state = draft.state()
            if state is not None and state.stage == "signed" and release < self.shared.release:
                changed = {role: (draft.metadata / _name(state, role)).read_bytes() for role in state.changed}
                through = self.workspace.ledger.cuts[release - 1].through
                store.write(Record(release, through, hashlib.sha256(NOTHING.data).hexdigest(), 0, state.roles), changed)
            draft.discard()

    def compare(self) -> tuple[dict[str, dict[str, str]], list[str]]:
        """Our signatures by metadata file, and what differs: without differences only are the signatures worth something."""
        state = self._built()
        with self.stages.stage("compare"):
            state = make.sign_roles(self.workspace, self.site, self.base, self.draft, self.keyring, state)
            differences = [*self._site_differences(), *self._list_differences(state)]
            if differences:
                return {}, differences
            signatures = {name: self._own(name, state) for name in self.shared.metadata if name != self._site_name}
            state = make.cosign(self.draft, self.keyring, state, self._theirs(state), state.changed)
            if self.shared.is_whole:
                state, differences = self._finish(state)
                if differences:
                    return {}, differences
                signatures |= {name: self._own(name, state) for name in (self._site_name, _name(state, SNAPSHOT))}
        return signatures, differences

    def _built(self) -> DraftState:
        state = self.draft.state()
        if state is None or state.since != self.base.release:
            self.draft.start()
            trust = self.keyring.trust.files
            make.build(self.workspace, self.site, trust, self.base, self.draft, self.runner, self.stages, [("render",)])
            state = self.draft.state()
        assert state is not None
        return state

    def _finish(self, state: DraftState) -> tuple[DraftState, list[str]]:
        """The last part: the packs, which hold the others' signatures, the list of role `site`, which names the packs, and the snapshot."""
        trust = self.keyring.trust.files
        whole = make_whole(self.workspace, self.site, trust, self.draft, state, self.workers, self.stages, None)
        self._fetch_signatures("results-signatures", self.draft)
        if whole is not None:
            # A publisher whose draft was whole has laid out all of them as those of the draft.
            self._fetch_signatures("results-signatures", whole)
            self._fetch_signatures(WHOLE_SIGNATURES, whole)
        make_it = (self.workspace, self.site, self.base, self.draft, self.keyring, self.runner)
        state = make.sign_site(*make_it, state, whole)
        theirs = self.exchange.fetch(self.shared, f"metadata/{self._site_name}")
        differences = list(
            self._differences(self._site_name, (self.draft.metadata / self._site_name).read_bytes(), theirs)
        )
        if not differences:
            state = make.cosign(self.draft, self.keyring, state, {self._site_name: signatures_of(theirs)}, [SITE])
            state = make.sign_snapshot(self.workspace, self.draft, self.keyring, state)
            self.draft.finish(state)
        return state, differences

    def _fetch_signatures(self, folder: str, draft: Draft) -> None:
        for path in [path for path in self.shared.files if path.startswith(f"{folder}/")]:
            (draft.signatures / path.partition("/")[2]).write_bytes(self.exchange.fetch(self.shared, path))

    @property
    def _site_name(self) -> str:
        return f"{self.shared.release}.{SITE}.json"

    def _ours(self, name: str, state: DraftState) -> bytes | None:
        """The list `name` as it was made here, now or for an earlier release."""
        path, role = self.draft.metadata / name, name.split(".")[1]
        if path.exists():
            return path.read_bytes()
        return self.store.role(role) if role in state.roles and _name(state, role) == name else None

    def _own(self, name: str, state: DraftState) -> dict[str, str]:
        """Our own signatures of a list."""
        data, keyids = self._ours(name, state), self.keyring.keyids(ours=True)
        assert data is not None
        return {keyid: one for keyid, one in signatures_of(data).items() if keyid in keyids}

    def _theirs(self, state: DraftState) -> dict[str, dict[str, str]]:
        """The publisher's signatures of the lists that were made here; of those that he has published before, from there."""
        found = {}
        for role in state.changed:
            path = f"metadata/{_name(state, role)}"
            if path in self.shared.files:
                data = self.exchange.fetch(self.shared, path)
            else:
                data = next((seen.data for place in self.places if (seen := place.read(path)) is not None), b"")
            found[_name(state, role)] = signatures_of(data) if data else {}
        return found

    def _list_differences(self, state: DraftState) -> Iterator[str]:
        for name in self.shared.metadata:
            if name == self._site_name:
                continue
            ours, theirs = self._ours(name, state), self.exchange.fetch(self.shared, f"metadata/{name}")
            if ours is None:
                yield f"metadata/{name}: no such list was made here"
            else:
                yield from self._differences(name, ours, theirs)

    def _differences(self, name: str, ours: bytes, theirs: bytes) -> Iterator[str]:
        """What two lists of one role say otherwise: files first, each with both hashes and where its bytes part."""
        wanted, found = (signed_part(data, f"metadata/{name}") for data in (ours, theirs))
        if wanted == found:
            return
        role = name.split(".")[1]
        yield from self._file_differences(role, _listed(wanted), _listed(found))
        if (rest := {**found, "targets": None}) != (own := {**wanted, "targets": None}):
            yield f"metadata/{name}: {first_difference(rest, own, 'signed')}"

    def _site_differences(self) -> Iterator[str]:
        """The files of role `site`, whose list comes last."""
        # Inputs of earlier releases may stand in one of the two drafts alone: what each goes on from has them already.
        ours, theirs = (
            listing(entry for entry in read_index(folder, SITE) if not is_lasting(entry.path))
            for folder in (self.draft.files, self._fetched(SITE))
        )
        yield from self._file_differences(SITE, ours, theirs)

    def _file_differences(self, role: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
        for path in sorted(path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)):
            told = (files[path][1] if path in files else "none" for files in (theirs, ours))
            yield "{}: theirs {}, ours {}{}".format(path, *told, self._parting(role, path))

    def _parting(self, role: str, path: str) -> str:
        """Where the two files part, as far as both are at hand."""
        ours, theirs = _file(self.draft.files, role, path), _file(self._fetched(role), role, path)
        if ours is None or theirs is None:
            return ""
        at = next(
            (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        start = max(0, at - EXCERPT // 2)
        return (
            f"; from byte {at} on: theirs {theirs[start : start + EXCERPT]!r}, ours {ours[start : start + EXCERPT]!r}"
        )

    def _fetched(self, role: str) -> Path:
        """A folder with the publisher's files of a role, if they are part of the draft, as this draft names them."""
        folder = self.draft.directory / "theirs"
        folder.mkdir(exist_ok=True)
        for name in (f"{role}.pack", f"{role}.index"):
            path, sha256 = folder / name, self.shared.files.get(f"files/{name}", (0, ""))[1]
            # He may have mended his draft since the last run.
            if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                path.unlink()
            if sha256 and not path.exists():
                path.write_bytes(self.exchange.fetch(self.shared, f"files/{name}"))
        return folder


def _name(state: DraftState, role: str) -> str:
    return f"{state.roles[role].version}.{role}.json"


def _listed(signed: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Length and SHA-256 of each file that metadata lists; as whoever wrote it has put it."""
    targets = signed.get("targets")
    return {
        path: (one.get("length"), one["hashes"].get("sha256"))
        if isinstance(one, dict) and isinstance(one.get("hashes"), dict)
        else (None, one)
        for path, one in (targets.items() if isinstance(targets, dict) else ())
    }


def _file(folder: Path, role: str, path: str) -> bytes | None:
    if not (folder / f"{role}.index").exists():
        return None
    with suppress(BuilderError):  # theirs may be anything: it differs, which is told without an excerpt then
        return next((data for _, data in read_pack(folder, role, path.__eq__)), None)
    return None
