"""One audit: the log, all that it names, and the site made again from it.

Nothing is taken from the publisher but what is public, and of that nothing on trust: entries against the signed root hash, inputs and packages against the
entries, the site against the inputs. What is signed must follow from what is logged.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic

import builder
from builder.recap import Package
from builder.replay import replay
from builder.rows import Rows
from builder.site import Inputs
from verifier import limits
from verifier.audit.admission import objections
from verifier.audit.comparison import compare, published, with_partings
from verifier.audit.earlier import Earlier
from verifier.audit.history import History, changed_inputs, read_history
from verifier.audit.inputs import check_drawing, check_program, check_roots, check_trust, lay_out_inputs, lay_out_ledger
from verifier.audit.packages import read_package
from verifier.audit.packs import pack_changes
from verifier.audit.rebuild import Plan, Roles, lay_out_plan, rebuild
from verifier.audit.records import package_record
from verifier.audit.report import Release, Report
from verifier.audit.workshop import Workshop
from verifier.client import Client
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import Fetcher, MissingError
from verifier.formats.allowed_signers import AllowedSigners
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.log import CHECKPOINT, LogReport
from verifier.log_entries import check_root, parse_entries, read_entries
from verifier.site import check_site
from verifier.withheld import Redactions

__all__ = ["audit"]

MANY_ROLES = 12  # from here on another process pays


def audit(
    client: Client,
    fetcher: Fetcher,
    seen: LogReport,
    executor: Executor,
    folder: Path,
    place: str,
    processes: int,
    earlier: Collection[int] | None = (),
    served: bool = False,
    progress: Callable[[str], None] = lambda stage: None,
    count: Callable[[int, int], None] = lambda done, known: None,
) -> Report:
    """Audit the refreshed `client`'s release, whose place in the log is `seen`; and the `earlier` ones, None for all. `folder` is empty, and holds what is made.
    `served`: read every listed file, with the signatures of results, where they are served. `count` is told how many earlier ones are done, and how many there are.

    Raises:
        VerificationError: the log or the inputs are not what was signed, so that nothing can be made again.
        VerifierError: something cannot be had, or this program is not the one that made the release.
    """
    start = monotonic()
    progress("log")
    history, pending = _read_log(fetcher, seen, executor)
    if not history.cuts or history.cuts[-1].release != client.snapshot.version:
        raise VerificationError(f"the log has no inputs of release {client.snapshot.version}")
    cut = history.cuts[-1]
    check_program(cut)
    if unknown := set(earlier or ()) - {int(one.file.partition(".")[0]) for one in history.releases}:
        raise VerifierError(f"the log has no release {min(unknown)}")
    progress("inputs")
    inputs = lay_out_inputs(client, history.cuts, folder)
    check_drawing(inputs)
    election = inputs.definition.election.id
    report = Report(
        place,
        election,
        cut.release,
        cut.time,
        seen.origin,
        seen.size,
        pending,
        tuple(seen.witnesses),
        builder.__version__,
    )
    report.problems += history.problems
    report.problems += check_trust(client, fetcher, cut)
    report.problems += check_roots(client, fetcher, history)
    _tell_history(report, history, fetcher)
    progress("packages")
    packages = _read_packages(report, history, fetcher, executor)
    if len(packages) < len(history.packages):
        report.seconds = monotonic() - start
        return report
    rows = _judge(report, history, packages, inputs, fetcher)
    if served:
        progress("files")
        report.problems += _served_otherwise(client, fetcher, seen, executor)
    progress("rebuild")
    with Workshop(processes if len(client.snapshot.meta) >= MANY_ROLES else 1) as workshop:
        try:
            plan = lay_out_plan(folder, inputs, rows, lay_out_ledger(folder, history, packages))
            made = rebuild(plan, workshop)
        except Exception as error:  # definition and packages are the publisher's, too
            report.problems.append(f"release {cut.release} cannot be made again from the logged inputs: {error}")
        else:
            _compare(report, plan, made, packages, client, fetcher, workshop)
        past = Earlier(fetcher, folder, packages, client.root.version, workshop)
        _audit_earlier(report, history, past, earlier, count)
    report.seconds = monotonic() - start
    return report


def _served_otherwise(client: Client, fetcher: Fetcher, seen: LogReport, executor: Executor) -> list[str]:
    """Which of the listed files, and of the signatures of results, are not served as they were signed."""
    order = Redactions(fetcher, seen.checkpoint.checkpoint).order
    checked = check_site(client, fetcher, executor, aliases=False, signatures=True, order=order)
    return [f"{failure.path}: {failure.what}" for failure in checked.failures]


def _compare(
    report: Report,
    plan: Plan,
    made: Roles,
    packages: Sequence[Package],
    client: Client,
    fetcher: Fetcher,
    workshop: Workshop,
) -> None:
    listed = published(client, report.changes)
    report.files = sum(map(len, made.values()))
    report.changes += pack_changes(client, fetcher, listed, made, packages)
    found = compare(listed, made, plan, workshop, fetcher)
    report.recompressed += found.recompressed
    report.changes += with_partings([*found.changes, *found.gone], plan, workshop, fetcher)


def _audit_earlier(
    report: Report, history: History, past: Earlier, wanted: Collection[int] | None, count: Callable[[int, int], None]
) -> None:
    logged = {one.file: one for one in history.releases}
    cuts = {cut.release: cut for cut in history.cuts}
    numbers = [one.release for one in report.releases if one.release != report.release]
    numbers = [number for number in numbers if wanted is None or number in wanted]
    found = {}
    for done, number in enumerate(numbers):
        count(done, len(numbers))
        found[number] = past.audit(cuts[number], logged[f"{number}.snapshot.json"])
        report.changes += found[number].changes
        report.recompressed += found[number].recompressed
        report.problems += found[number].problems
    report.releases = [
        replace(one, verdict=found[one.release].verdict, why=found[one.release].why) if one.release in found else one
        for one in report.releases
    ]


def _read_log(fetcher: Fetcher, seen: LogReport, executor: Executor) -> tuple[History, int]:
    """The log up to the entry of the client's release, and how many entries come after that."""
    heads = [seen.checkpoint.checkpoint]
    try:
        newest = SignedCheckpoint.parse(fetcher.fetch(CHECKPOINT, limits.NOTE_FILE))
        seen.policy.witnessed(newest)
        heads.append(newest.checkpoint)
    except MissingError:
        pass
    size = max(head.size for head in heads)
    entries = read_entries(fetcher, size, executor)
    for head in heads:
        check_root(entries, head)
    told = list(parse_entries(entries))
    history = read_history(told[: seen.index + 1])
    # What came later contradicts what came before no less: a second release under this number, say, for others' eyes.
    history.problems = read_history(told).problems
    return history, len(told) - seen.index - 1


def _tell_history(report: Report, history: History, fetcher: Fetcher) -> None:
    cut = history.cuts[-1]
    names = ("definition", "content", "templates", "trust", "signers", "builder", "results")
    report.inputs = {name: str(value) for name in names if (value := getattr(cut, name)) is not None}
    report.refused = [(one.package, one.rules) for one in history.refused]
    report.redacted = [(one.file, one.authority) for one in history.redacted]
    logged = {one.file: one for one in history.releases}
    for before, made in zip([None, *history.cuts], history.cuts, strict=False):
        file = logged.get(f"{made.release}.snapshot.json")
        if file is None:
            continue  # its number was used up, and nothing came of it
        kept = True
        try:
            data = fetcher.fetch(f"metadata/{file.file}", limits.SNAPSHOT_METADATA)
            if (len(data), hashlib.sha256(data).hexdigest()) != (file.length, file.sha256):
                report.problems.append(f"metadata/{file.file} is not the snapshot that was logged")
        except MissingError:
            kept = False
        changed = tuple(changed_inputs(before, made))
        report.releases.append(Release(made.release, made.time, changed, kept))


def _read_packages(report: Report, history: History, fetcher: Fetcher, executor: Executor) -> list[Package]:
    orders: dict[str, dict[str, str]] = {}
    for one in history.redacted:
        orders.setdefault(one.package, {}).setdefault(one.file, one.authority)
    redacted = [orders.get(one.package, {}) for one in history.packages]
    packages = []
    for found in executor.map(partial(read_package, fetcher), history.packages, redacted, chunksize=16):
        report.problems += found.problems
        report.withheld += found.withheld
        if found.package is not None:
            packages.append(found.package)
    report.packages = len(history.packages)
    report.official = sum(one.signature is not None for one in history.packages)
    report.operator = report.packages - report.official
    return packages


def _judge(
    report: Report, history: History, packages: Sequence[Package], inputs: Inputs, fetcher: Fetcher
) -> dict[str, Rows]:
    """Every rule asked again of every package, in the log's order; the rows that they come to."""
    definition = inputs.definition
    allowed = _AllowedSigners(fetcher)
    for number, (leaf, package) in enumerate(zip(history.packages, packages, strict=True), 1):
        record = package_record(leaf, package)
        around = allowed.of(history.signers_around(number)) if leaf.signature is not None else []
        if leaf.received is not None and not history.is_between(number, leaf.received):
            report.problems.append(
                f"package {leaf.package} was judged at {leaf.received}, not between the cuts around it"
            )
        report.problems += [
            f"package {leaf.package}: {what}" for what in objections(package, record, definition, around)
        ]
    rows = {contest.id: Rows(contest) for contest in definition.election.contests}
    for verdicts in replay(packages, rows, definition, 0):
        report.rows += sum(verdict.rows for verdict in verdicts)
        report.problems += [
            f"package {verdict.package.name} was accepted against a rule: {broken}"
            for verdict in verdicts
            for broken in verdict.broken
        ]
    return rows


class _AllowedSigners:
    """The files of officials that releases name, each read once, from the objects that are named by their hash."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._known: dict[str, AllowedSigners] = {}

    def of(self, hashes: Sequence[str]) -> list[AllowedSigners]:
        for sha256 in hashes:
            if sha256 not in self._known:
                data = self._fetcher.fetch(f"targets/trust/{sha256}.allowed_signers", limits.TARGET_FILE)
                if hashlib.sha256(data).hexdigest() != sha256:
                    raise VerificationError(f"targets/trust/{sha256}.allowed_signers is not what it is named by")
                self._known[sha256] = AllowedSigners.parse(data)
        return [self._known[sha256] for sha256 in hashes]
