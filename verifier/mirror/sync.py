"""Catch a mirror up with the newest release that any of its upstreams shows.

Objects, signatures, packages and versioned metadata come first, under names that no served release knows; then
`timestamp.json`, by rename: until then the old release stays whole, from then on the new one is. The aliases follow, each by
rename, a results file and its signature together. A run that stops anywhere is taken up by the next one.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from verifier import limits
from verifier.client import Client
from verifier.errors import FormatError, StaleError, VerificationError, VerifierError
from verifier.fetcher import DirectoryFetcher
from verifier.files import SignedFile, is_pack, is_results, object_path
from verifier.formats.metadata_fields import listed_targets
from verifier.formats.tlog_proof import LogProof
from verifier.log import CHECKPOINT, check_log, proof_path
from verifier.mirror.budget import Budget
from verifier.mirror.folder import TIMESTAMP, Complete, Folder, Marked
from verifier.mirror.log import bring_log
from verifier.mirror.metadata import Listed, MetadataSource, claimed_version, named_metadata
from verifier.mirror.objects import Objects
from verifier.mirror.packs import Ahead, Arriving, bring_packs, find_packs
from verifier.mirror.transfer import Transfer
from verifier.mirror.unpack import Unpacker
from verifier.mirror.upstreams import Upstream, Upstreams, worst
from verifier.results_signature import MinisignKeys
from verifier.site import KEYS_PATH, ROLES_WITHOUT_RESULTS, signed_file
from verifier.surroundings import unlisted
from verifier.withheld import Redactions

__all__ = ["Outcome", "served_version", "sync"]

TURN_SECONDS = 0.0001
GONE_DATA = "gone.json"
GONE_PAGES = ("gone.html", "gone-1.html", "gone-2.html", "gone-3.html")


@dataclass(frozen=True)
class Outcome:
    """What stands in the folder after a run. `fetched`: files that came in, metadata included; `problems`: what each
    upstream that could not be used did."""

    complete: Complete
    fetched: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Offer:
    """A timestamp as an upstream shows it; nothing of it is verified."""

    upstream: Upstream
    version: int
    timestamp: bytes
    etag: str


def sync(
    folder: Folder,
    upstreams: Upstreams,
    now: datetime,
    *,
    full: bool = False,
    progress: Callable[[int, int], None] = lambda done, known: None,
) -> Outcome:
    """Bring the newest verified release into `folder`, which must be locked. `full`: look at every file that is there.

    The worst of the errors is raised if no upstream shows a release that is current and not older than the known one
    (VerificationError, StaleError, FetchError); what is served stays as it was then, and after every other error.
    """
    last = folder.complete()
    offers, errors = _offers(folder, upstreams, last, full=full)
    problems = [str(error) for error in errors]
    for offer in sorted(offers, key=lambda one: one.version, reverse=True):
        try:
            if last and not full and _sha256(offer.timestamp) == last.timestamp:
                if now.timestamp() >= last.expires:
                    raise StaleError(f"{offer.upstream.place} shows nothing newer than release {last.release}, expired")
                return Outcome(last, 0, tuple(problems))
            budget = Budget()
            source = MetadataSource(folder, upstreams, offer.upstream, offer.timestamp, budget)
            client = Client(source, folder.state, now)
            client.refresh()
            run = _Run(folder, upstreams, source, client, budget, progress)
            known = last if last and not full and run.is_served() else None
            if known is None:
                run.check_log()
        except VerifierError as error:
            offer.upstream.failed()
            errors.append(error)
            problems.append(f"{offer.upstream.place}: {error}")
            continue
        etags = {one.upstream.place: one.etag for one in offers if one.timestamp == offer.timestamp and one.etag}
        if known is None:
            run.release(broken_off=last is None, full=full)
        else:
            run.heartbeat()
        complete = run.complete(now, etags, known)
        folder.end(complete)
        return Outcome(complete, budget.files, tuple(problems))
    raise worst(errors)


def served_version(folder: Folder) -> int | None:
    """The version of the timestamp that is served: when it was signed, in Unix seconds."""
    try:
        return claimed_version(folder.read(TIMESTAMP) or b"")
    except FormatError:
        return None


def _offers(
    folder: Folder, upstreams: Upstreams, last: Complete | None, *, full: bool
) -> tuple[list[_Offer], list[VerifierError]]:
    """What every upstream shows: one that hides what is new must not keep the others' news away."""
    etags = last.etags if last and not full else {}
    offers: list[_Offer] = []
    errors: list[VerifierError] = []
    for upstream in upstreams.all:
        try:
            data, etag = upstream.fetch_if_changed(TIMESTAMP, limits.TIMESTAMP_METADATA, etags.get(upstream.place, ""))
            # Not modified: `complete` has seen that the very timestamp of these ETags is there.
            data = folder.read(TIMESTAMP) if data is None else data
            if data is not None:
                offers.append(_Offer(upstream, claimed_version(data), data, etag if len(etag) <= limits.ETAG else ""))
        except VerifierError as error:
            upstream.failed()
            errors.append(error)
    return offers, errors


class _Run:
    """The way of one verified release into the folder."""

    def __init__(
        self,
        folder: Folder,
        upstreams: Upstreams,
        source: MetadataSource,
        client: Client,
        budget: Budget,
        progress: Callable[[int, int], None],
    ) -> None:
        self._folder, self._upstreams, self._source, self._client = folder, upstreams, source, client
        self._budget, self._progress = budget, progress
        self._files: dict[str, SignedFile] = {}
        self._results: set[str] = set()
        self._minisign_keys: MinisignKeys | None = None
        self._proof: bytes | None = None

    def is_served(self) -> bool:
        """True if only the timestamp is new: the release is the one that is served."""
        served = self._folder.read(TIMESTAMP)
        return served is not None and named_metadata(served) == named_metadata(self._source.timestamp)

    def check_log(self) -> None:
        """Check that the release is in the log, if the site has one, as every client does; the mirror's state remembers it."""
        if check_log(self._client, self._source) is not None:
            self._proof = self._source.fetch(proof_path(self._client.snapshot.version), limits.PROOF_FILE)

    def heartbeat(self) -> None:
        """Serve the new timestamp of the same release."""
        self._folder.begin()
        self._commit()

    def release(self, *, broken_off: bool, full: bool) -> None:
        """Bring in what is new. `broken_off`: what an earlier run left is half done."""
        self._folder.begin()
        with (
            _in_short_turns(),
            ThreadPoolExecutor(self._upstreams.threads) as executor,
            Ahead() as behind,
            Unpacker(self._folder) as unpacker,
        ):
            if known := self._folder.last_success():
                self._bring_packs(known.release, 2 * known.bytes, behind, unpacker)
            self._source.fetch_all(executor)
            transfer = Transfer(self._folder, self._upstreams, self._budget, executor, self._progress)
            new: list[Marked] = []
            for files in self._list({} if full else self._served_roles()):
                new += files
                if unpacker.started and files:
                    unpacker.add(files, self._keys(transfer.objects))
            transfer.check_space(new)
            if not known:
                self._bring_packs(0, 2 * transfer.missing(new), behind, unpacker)
            keys = self._keys(transfer.objects)
            if unpacker.started and not known:
                unpacker.add(new, keys)
            packages = transfer.files(new, keys, unpacker)
            behind.submit(self._folder.settle)
            named = sorted((name.decode(), signature.decode()) for name, signature in packages)
            signed = LogProof.parse(self._proof).checkpoint if self._proof is not None else None
            if signed is not None:
                bring_log(self._folder, self._upstreams, self._source.fetch, self._budget, executor, signed, full=full)
            redactions = Redactions(DirectoryFetcher(self._folder.public), signed.checkpoint if signed else None)
            transfer.packages(named, redactions.order, thorough=broken_off or full)
            self._commit()
            every = [(file, path in self._results) for path, file in self._files.items()] if broken_off else new
            linked = behind.submit(unpacker.link, every)
            self._replace_gone()
            linked.result()

    def complete(self, now: datetime, etags: dict[str, str], last: Complete | None) -> Complete:
        """What stands in the folder now; `last` where the files are still those."""
        expires = self._client.expires.timestamp()
        files = last.files if last else len(self._files)
        length = last.bytes if last else sum(file.length for file in self._files.values())
        timestamp = _sha256(self._source.timestamp)
        return Complete(timestamp, self._client.snapshot.version, expires, files, length, now.timestamp(), etags)

    def _keys(self, objects: Objects) -> MinisignKeys:
        """Who signs the results. Role `trust`, which says so, comes before those that list results."""
        if self._minisign_keys is None:
            if (file := self._files.get(KEYS_PATH)) is None:
                raise VerificationError(f"{KEYS_PATH} is not listed: nothing says who signs the results")
            self._minisign_keys = MinisignKeys.parse(objects.get(object_path(file), file.length, file.sha256))
        return self._minisign_keys

    def _list(self, served: Mapping[str, Listed]) -> Iterator[list[Marked]]:
        """Look at every file of the release, role by role; those of each that the served release has not."""
        current = named_metadata(self._source.fetch(self._snapshot_path, limits.SNAPSHOT_METADATA))
        owners: dict[str, str] = {}
        for role in self._client.walk():
            before = served.get(role.name)
            same = before is not None and before == current.get(role.name)
            listed = {} if same or before is None else self._listed_before(before)
            new: list[Marked] = []
            for path, target in role.targets.targets.items():
                try:
                    file = signed_file(role, path, target, owners)
                except VerificationError as error:
                    raise VerificationError(f"{path}: {error}") from None
                if is_pack(path):
                    continue  # `_bring_packs` has seen to it
                self._files[path] = file
                signed = role.name not in ROLES_WITHOUT_RESULTS and is_results(path)
                if signed:
                    self._results.add(path)
                if not same and listed.get(path, (0, ""))[1] != file.sha256:
                    new.append((file, signed))
            yield new

    @property
    def _snapshot_path(self) -> str:
        return named_metadata(self._source.timestamp)["snapshot"].path

    def _bring_packs(self, since: int, most: int, behind: Ahead, unpacker: Unpacker) -> None:
        """Have packs come while other things are done; what has come is written to the disk by the time when all of it has to be there."""
        found = find_packs(self._folder, self._upstreams, self._source, self._client, self._budget, since, most)
        coming = bring_packs(self._folder, self._upstreams, self._budget, found, behind.left)
        packs = Arriving(behind, coming, len(found))
        unpacker.start(packs, sum(pack.length for pack in found))
        self._upstreams.packs = packs
        behind.submit(self._folder.settle)

    def _served_roles(self) -> dict[str, Listed]:
        """The roles of the release that is served; it was verified when it came, and is there as a whole."""
        try:
            snapshot = named_metadata(self._folder.read(TIMESTAMP) or b"")["snapshot"]
            return named_metadata(self._folder.read(snapshot.path, snapshot.sha256) or b"")
        except (FormatError, KeyError):  # nothing is served yet, or the disk has lost it: all files are looked at
            return {}

    def _listed_before(self, role: Listed) -> dict[str, tuple[int, str]]:
        data = self._folder.read(role.path, role.sha256)
        try:
            return listed_targets(data) if data is not None else {}
        except FormatError:  # its signatures were those of another format then
            return {}

    def _commit(self) -> None:
        """The one moment in which the new release takes the old one's place."""
        for root in sorted(self._folder.state.glob("root_history/*.root.json")):
            path, data = f"metadata/{root.name}", root.read_bytes()
            if self._folder.read(path) != data:
                self._folder.put(path, data)
        for path, data in self._source.replacing.items():
            self._folder.put(path, data)
        if self._proof is not None:
            self._folder.put(proof_path(self._client.snapshot.version), self._proof)
            self._folder.put(CHECKPOINT, LogProof.parse(self._proof).checkpoint.encode())
        self._folder.settle()
        self._folder.put_durably(TIMESTAMP, self._source.timestamp)
        # A hint that nobody signs; of what it says at the publisher's, this much is in verified metadata.
        hint = {
            "release": self._client.snapshot.version,
            "expires": f"{self._client.timestamp.expires:%Y-%m-%dT%H:%M:%SZ}",
        }
        self._folder.put("latest.json", json.dumps(hint, separators=(",", ":")).encode() + b"\n")

    def _replace_gone(self) -> None:
        """Pages and results that no release lists any more make way for those that say so (docs/formats.md)."""
        for path in list(unlisted(self._folder.public, self._files)):
            name = GONE_PAGES[min(path.count("/"), len(GONE_PAGES) - 1)] if path.endswith(".html") else GONE_DATA
            if not path.endswith((".html", ".json", ".json.minisig")):
                continue
            if name in self._files and path.count("/") < len(GONE_PAGES):
                self._folder.link(path, object_path(self._files[name]))
            else:
                self._folder.remove(path)


@contextmanager
def _in_short_turns() -> Iterator[None]:
    """A thread that receives a pack takes Python's lock for moments, and many times: while lists are read it must not wait 5 ms for each."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
