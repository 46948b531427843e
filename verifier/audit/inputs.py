"""The logged inputs of a release, laid out in a folder as the builder wants them: definition, content, templates, and a ledger.

Each is held against the hash that the log has of it; what the publisher's own machine has is asked for nothing.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import builder
from builder.drawing import check_renderer, packaged_font
from builder.errors import BuilderError
from builder.hashing import input_hash
from builder.inputs import archive_name, archive_names, keep_archive, kept_archive, read_archive
from builder.ledger import Cut, Ledger, Record, RedactedRecord
from builder.recap import COVER, Package
from builder.results import RESULTS_FORMAT
from builder.site import Inputs
from verifier import limits
from verifier.audit.history import History
from verifier.audit.records import package_record
from verifier.client import Client
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import Fetcher
from verifier.officials import SIGNERS_PATH

__all__ = [
    "DEFINITION_PATHS",
    "check_drawing",
    "check_program",
    "check_roots",
    "check_trust",
    "lay_out_earlier_inputs",
    "lay_out_inputs",
    "lay_out_ledger",
]

# Which of these a definition has.
CHOSEN = ("trust/areas.csv", "trust/areas.csv.gz", "trust/map.topojson")
DEFINITION_PATHS = ("trust/election.toml", *CHOSEN)


def check_program(cut: Cut) -> None:
    """VerifierError for a release of another program: it makes other bytes, and a difference would say nothing."""
    if (cut.builder, cut.results) != (builder.__version__, RESULTS_FORMAT):
        raise VerifierError(
            f"the release was made with terbit {cut.builder}, and this is {builder.__version__}: install that version to audit it"
        )


def check_drawing(inputs: Inputs) -> None:
    """VerifierError for a release with cards where what draws them is not installed: that says nothing about the release."""
    if inputs.definition.election.card_languages:
        try:
            check_renderer()
            packaged_font()
        except BuilderError as error:
            raise VerifierError(str(error)) from None


def lay_out_inputs(client: Client, cuts: Sequence[Cut], folder: Path) -> Inputs:
    """Definition, content and templates of the last of `cuts`, and the archives of all of them.

    Raises:
        VerificationError: one of them is not what was logged, or not there: without it nothing can be made again.
    """
    cut = cuts[-1]
    definition = {path.partition("/")[2]: client.target(path) for path in _definition_paths(client)}
    if input_hash(definition) != cut.definition:
        raise VerificationError(f"the definition is not the one that was logged for release {cut.release}")
    content, templates = folder / "content", folder / "templates"
    _unpack(content, definition)
    inputs = Inputs(content, templates)
    try:
        _ = inputs.definition
        for name in archive_names(cuts):
            sha256, kind, _ = name.split(".")
            files = read_archive(client.target(f"inputs/{name}"), sha256, f"inputs/{name}")
            keep_archive(folder / "ledger", kind, files)
            if sha256 == getattr(cut, kind):
                _unpack(content / "pages" if kind == "content" else templates, files)
    except BuilderError as error:
        raise VerificationError(str(error)) from None
    return inputs


def lay_out_earlier_inputs(folder: Path, cut: Cut, definition: Callable[[], Mapping[str, bytes]]) -> Inputs:
    """The inputs of an earlier cut. `folder` has the archives of all cuts and the newest one's definition; `definition` reads that of then.

    Raises:
        VerificationError: the definition is not the one that was logged.
    """
    place = folder / "earlier" / f"{cut.definition}-{cut.content}-{cut.templates}"
    inputs = Inputs(place / "content", place / "templates")
    if not place.exists():
        newest = Inputs(folder / "content", folder / "templates")
        if newest.definition.sha256 == cut.definition:
            files: Mapping[str, bytes] = {
                path.name: path.read_bytes() for path in newest.content.iterdir() if path.is_file()
            }
        elif input_hash(files := definition()) != cut.definition:
            raise VerificationError(f"the definition is not the one that was logged for release {cut.release}")
        _unpack(inputs.content, files)
        for kind, into in (("content", inputs.content / "pages"), ("templates", inputs.templates)):
            name = archive_name(kind, getattr(cut, kind))
            _unpack(into, read_archive(kept_archive(folder / "ledger", name), getattr(cut, kind), name))
    return inputs


def _definition_paths(client: Client) -> Iterator[str]:
    yield "trust/election.toml"
    yield from (path for path in CHOSEN if client.lists(path))


def _unpack(folder: Path, files: Mapping[str, bytes]) -> None:
    """`read_archive` has let no name through that leads out of a folder; those of a definition are ours."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def lay_out_ledger(folder: Path, history: History, packages: Sequence[Package]) -> Ledger:
    """The ledger that follows from the log: packages, orders and cuts in its order; of each package its cover."""
    records: list[Record] = []
    for leaf, package in zip(history.packages, packages, strict=True):
        place = folder / "ledger" / "packages" / package.name
        place.mkdir(parents=True, exist_ok=True)
        (place / COVER).write_bytes(package.files[COVER])
        records.append(package_record(leaf, package))
    for cut in reversed(history.cuts):
        told = zip(history.redacted, history.told_by, strict=True)
        orders = [RedactedRecord(one.package, one.file, one.authority) for one, by in told if by == cut.release]
        records[cut.through : cut.through] = [*orders, cut]
    ledger = Ledger(folder / "ledger")
    ledger.follow(records, ())
    return ledger


def check_trust(client: Client, fetcher: Fetcher, cut: Cut) -> Iterator[str]:
    """What of the offline-signed metadata is not what was logged for the release."""
    meta = client.snapshot.meta
    names = [
        f"{client.root.version}.root.json",
        *(f"{meta[name].version}.{name}" for name in ("targets.json", "trust.json") if name in meta),
    ]
    files = {name: fetcher.fetch(f"metadata/{name}", limits.TARGETS_METADATA) for name in names}
    if input_hash(files) != cut.trust:
        yield f"release {cut.release} was logged with other offline-signed metadata than {', '.join(names)}"
    signers = hashlib.sha256(client.target(SIGNERS_PATH)).hexdigest() if client.lists(SIGNERS_PATH) else None
    if signers != cut.signers:
        yield f"release {cut.release} was logged with another {SIGNERS_PATH}"


def check_roots(client: Client, fetcher: Fetcher, history: History) -> Iterator[str]:
    """Which logged roots are not what stands there; and whether the one in force was logged."""
    for root in history.roots:
        try:
            data = fetcher.fetch(f"metadata/{root.file}", limits.ROOT_METADATA)
        except VerifierError as error:
            yield f"metadata/{root.file}: {error}"
            continue
        if (len(data), hashlib.sha256(data).hexdigest()) != (root.length, root.sha256):
            yield f"metadata/{root.file} is not the root that was logged"
    if client.root.version > len(history.roots):
        yield f"root {client.root.version} is in force and was never logged"
