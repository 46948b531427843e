"""Packages that a ledger has accepted, judged again: every rule, and who vouched for them. Whoever audits does so; so a second signer does
before he follows, and a publisher before another definition is signed.
"""

import hashlib
from collections.abc import Iterator, Sequence

from builder.errors import DefinitionError
from builder.ledger import Cut, PackageRecord
from builder.recap import Package
from builder.replay import replay
from builder.rows import Rows
from publish.officials import signed_enrolment
from publish.workspace import Workspace
from verifier.audit.admission import objections
from verifier.audit.history import History
from verifier.formats.allowed_signers import AllowedSigners

__all__ = ["check_accepted", "objections_again"]

# Later than any package that waits for its cut.
END = "9999-12-31T23:59:59Z"


def check_accepted(workspace: Workspace) -> None:
    """What was accepted must be acceptable under another definition, too: an audit asks every rule again, and would accuse the publisher of his own correction.

    Raises:
        DefinitionError: a package would be refused under the definition that lies here now.
    """
    ledger, definition = workspace.ledger, workspace.definition
    if not ledger.packages or (ledger.cuts and ledger.cuts[-1].definition == definition.sha256):
        return
    enrolled = signed_enrolment(workspace)
    signers, sha256 = None if enrolled is None else hashlib.sha256(enrolled).hexdigest(), definition.sha256
    waiting = Cut(len(ledger.cuts) + 1, END, len(ledger.packages), sha256, sha256, sha256, sha256, "", 0, signers)
    packages = [ledger.read(record) for record in ledger.packages]
    rows = {contest.id: Rows(contest) for contest in definition.election.contests}
    for problem in objections_again(workspace, [*ledger.cuts, waiting], ledger.packages, packages, rows, 0):
        mend = "Auditors ask that of every package: leave each area that has figures beneath the areas that its packages speak for, at its level"
        raise DefinitionError(
            f"under this definition what was accepted would be refused: {problem}. {mend}", rule="accepted"
        )


def objections_again(
    workspace: Workspace,
    cuts: Sequence[Cut],
    records: Sequence[PackageRecord],
    packages: Sequence[Package],
    rows: dict[str, Rows],
    known: int,
) -> Iterator[str]:
    """What speaks against the packages of `records`, which come after the first `known` of the ledger that has `cuts`. What stands is folded into `rows`."""
    definition, history, allowed = workspace.definition, History(cuts=list(cuts)), _allowed(workspace, cuts)
    for number, (record, package) in enumerate(zip(records, packages, strict=True), known + 1):
        if record.received is not None and not history.is_between(number, record.received):
            yield f"package {record.package}: was judged at {record.received}, not between the cuts around it"
        around = [allowed[sha256] for sha256 in history.signers_around(number) if sha256 in allowed]
        for problem in objections(package, record, definition, around):
            yield f"package {record.package}: {problem}"
    counts = {record.package: record.rows for record in records}
    for verdicts in replay(packages, rows, definition, known):
        for verdict in verdicts:
            name = verdict.package.name
            if verdict.broken:
                yield f"package {name}: {verdict.broken[0]}"
            elif verdict.rows != counts[name]:
                yield f"package {name}: the ledger says {counts[name]} rows, and it has {verdict.rows}"


def _allowed(workspace: Workspace, cuts: Sequence[Cut]) -> dict[str, AllowedSigners]:
    """The officials who were enrolled at some cut, by the hash of their file, as far as the offline keys' files are here."""
    kept = {cut.signers: workspace.keys / "trust" / cut.signers for cut in cuts if cut.signers}
    return {sha256: AllowedSigners.parse(path.read_bytes()) for sha256, path in kept.items() if path.is_file()}
