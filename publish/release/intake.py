"""The first step of a run: what lies in the inbox, or where the operator says, into the ledger."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from builder.inbox import IntakeReport, find_packages, packages_in, take_in
from publish.errors import PublishError
from publish.officials import admission
from publish.progress import Stages
from publish.release.draft import Draft
from publish.release.jobs import FEW_ROLES, Workers
from publish.release.lineage import check_ledger
from publish.release.record import open_record
from publish.workspace import Workspace

__all__ = ["take_in_packages", "waiting_release"]


def take_in_packages(
    workspace: Workspace,
    paths: Sequence[Path],
    stages: Stages,
    now: datetime,
    workers: Workers | None = None,
    *,
    attested: bool = False,
) -> IntakeReport:
    """Take what lies at `paths` (default: the inbox) into the ledger, and keep the fold for the next run.

    `workers` are started meanwhile if what comes in will give them work. `attested`: the operator vouches for what is unsigned at `paths`.

    Raises:
        PublishError: the ledger is an old copy: a target on record here shows a later release.
    """
    records = (open_record(workspace, name).read() for name in workspace.config.targets)
    check_ledger(workspace, max((record.release for record in records if record), default=0))
    if frozen := workspace.frozen:
        stages.say(
            f"Frozen since {frozen['since']} ({frozen['reason']}): nothing is taken in. To go on: terbit freeze --end"
        )
        return IntakeReport()
    if not paths and (release := waiting_release(workspace)):
        # A new cut now would leave the second signer with a draft that nobody wants any more, again and again.
        stages.say(f"Release {release} waits for the second signer; what lies in the inbox is taken in after it.")
        return IntakeReport()
    found = _find(paths, stages) if paths else _in_inbox(workspace.inbox, stages)
    if not found:
        return IntakeReport()
    admitted = admission(workspace, now, attested=attested)
    if workers is not None and len(found) >= FEW_ROLES:
        workers.start()
    with stages.stage("intake", len(found)) as advance:
        ledger, rows = workspace.ledger, workspace.rows
        report = take_in(found, workspace.inbox, ledger, rows, workspace.definition, advance, now.timestamp(), admitted)
        if report.accepted:
            workspace.save_rows()
    return report


def _find(paths: Sequence[Path], stages: Stages) -> list[Path]:
    found = {path: find_packages(path) for path in paths}
    for path in (path for path, some in found.items() if not some):
        stages.say(f"{path}: there is no package in it: a .zip, or a folder with recap.toml")
    return [package for some in found.values() for package in some]


def _in_inbox(inbox: Path, stages: Stages) -> list[Path]:
    if inbox.is_dir():
        return packages_in(inbox)
    if inbox.exists():
        raise PublishError(f"{inbox} is not a folder, where packages would wait; move it away")
    stages.say(f"{inbox} is not there, so nothing is taken in; make it, or name it in terbit.toml")
    return []


def waiting_release(workspace: Workspace) -> int | None:
    """The release that waits for its second signer; None if none does."""
    cuts, exchange = workspace.ledger.cuts, workspace.config.exchange
    draft = Draft(workspace.build / "draft" / str(cuts[-1].release)) if cuts and exchange else None
    return cuts[-1].release if draft and draft.is_half_signed else None
