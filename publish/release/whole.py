"""Every file in force, for the full packs of a release whose cut asks for them (docs/formats.md, "Packs").

A draft has what changed. The rest is made anew from the ledger, as for a target that holds nothing: what a target holds need not be at hand, and anybody may have changed it.
"""

from collections.abc import Mapping, Sequence

from builder.site import Site
from publish.progress import Stages
from publish.release.draft import Draft, DraftState
from publish.release.jobs import Job, Jobs, MinisignKey, Plan, Runner, Workers, save_tallies
from publish.release.make import build
from publish.release.record import Base, RecordStore
from publish.workspace import Workspace

__all__ = ["make_whole"]


def make_whole(
    workspace: Workspace,
    site: Site,
    trust_files: Mapping[str, bytes],
    draft: Draft,
    state: DraftState,
    workers: Workers,
    stages: Stages,
    minisign: tuple[MinisignKey, ...] | None,
) -> Draft | None:
    """The draft of all files of the last cut, with signatures if there is a key for that; None where the cut asks for no full packs."""
    if not site.cuts[-1].full:
        return None
    if state.since == 0:
        return draft
    whole = draft.whole
    if whole.state() is None:
        whole.start()
        jobs: Sequence[Job] = [("render",)] if minisign is None else [("render",), ("sign",)]
        runner = Runner(
            workers,
            Jobs(Plan(whole.directory, 0, minisign or ()), workspace, site),
            lambda: save_tallies(whole, site.tallies),
        )
        nothing = Base(RecordStore(whole.directory / "nothing"), None)
        build(workspace, site, trust_files, nothing, whole, runner, stages, jobs, "build for full packs")
    return whole
