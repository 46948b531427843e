"""One release: cut, made, signed. What comes out is a draft on disk; `publish.release.push` makes it public.

A release is a function of the ledger through its cut, the inputs and the keys, so that a retry gives the same bytes. Only what changed since the
release that the target holds is made: files by the releases that the ledger computes, roles by their files.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, pairwise

import builder
from builder.errors import BuilderError
from builder.inputs import keep_archive
from builder.ledger import Cut
from builder.pack import read_index, write_pack
from builder.results import RESULTS_FORMAT
from builder.site import Site, entry_of, parts
from builder.tally import definition_cut
from publish.errors import FrozenError
from publish.progress import Stages
from publish.release.draft import Draft, DraftState
from publish.release.jobs import Job, Runner
from publish.release.record import Base
from publish.signing.keyring import Keyring
from publish.signing.repository import RoleFile, role_file
from publish.workspace import Workspace

__all__ = ["TIME_FORMAT", "build", "make_cut", "outdated", "role_versions", "sign"]

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
SITE, TRUST, SNAPSHOT = "site", "trust", "snapshot"


def make_cut(workspace: Workspace, trust: str, now: datetime, renew_after: timedelta) -> Cut:
    """The cut to publish: the last one, or a new one when an input changed or the last one's snapshot has aged."""
    ledger, inputs = workspace.ledger, _inputs(workspace, trust)
    last = ledger.cuts[-1] if ledger.cuts else None
    reasons = outdated(workspace, trust, now, renew_after)
    if reasons != ["time"] and reasons and (frozen := workspace.frozen):
        raise FrozenError(
            f"frozen since {frozen['since']} ({frozen['reason']}), and something has changed since the last release; "
            "it stays public. To go on: terbit freeze --end"
        )
    if last is not None and not reasons:
        return last
    cut = Cut(release=last.release + 1 if last else 1, time=now.strftime(TIME_FORMAT), **inputs)  # type: ignore[arg-type]
    for kind, files in workspace.inputs.archived.items():
        keep_archive(ledger.directory, kind, files)
    with ledger.lock():
        ledger.add_cut(cut)
    return cut


def outdated(workspace: Workspace, trust: str, now: datetime, renew_after: timedelta) -> list[str]:
    """Why a new cut is due: names of the inputs that are not the last cut's (all, before the first), and `time` when its snapshot has aged."""
    last, inputs = workspace.ledger.cuts[-1] if workspace.ledger.cuts else None, _inputs(workspace, trust)
    if last is None:
        return list(inputs)
    aged = now >= datetime.fromisoformat(last.time) + renew_after
    return [name for name, value in inputs.items() if getattr(last, name) != value] + ["time"] * aged


def _inputs(workspace: Workspace, trust: str) -> dict[str, object]:
    return {
        "through": len(workspace.ledger.packages),
        **workspace.inputs.hashes(),
        "trust": trust,
        "builder": builder.__version__,
        "results": RESULTS_FORMAT,
    }


def build(
    workspace: Workspace,
    site: Site,
    trust_files: Mapping[str, bytes],
    base: Base,
    draft: Draft,
    runner: Runner,
    stages: Stages,
    jobs: Sequence[Job],
) -> None:
    """Make the files that changed since `base` into the draft; `jobs` after the first do in the same go what would come later."""
    cut = workspace.ledger.cuts[-1]
    roles = list(
        dict.fromkeys(part.role for part in parts(workspace.definition) if site.part_release(part) > base.release)
    )
    with stages.stage("build" if len(jobs) == 1 else "build, sign, put", len(roles)) as advance:
        runner.run(jobs, roles, advance)
        write_pack(draft.files, SITE, chain(site.site_files(), site.input_files(base.release)))
        write_pack(draft.files, TRUST, (entry_of(path, data) for path, data in sorted(trust_files.items())))
    draft.finish(DraftState(cut.release, base.release, base.packages, "built", tuple(roles)))


def sign(
    workspace: Workspace, site: Site, base: Base, draft: Draft, keyring: Keyring, runner: Runner, stages: Stages
) -> DraftState:
    """Sign the draft: minisign on each results file, then the metadata of every role that changed, then the snapshot."""
    state = draft.state()
    if state is None:
        raise BuilderError("there is no built draft to sign; run: terbit build", file=draft.directory)
    with stages.stage("sign results", len(state.rendered)) as advance:
        runner.run([("sign",)], state.rendered, advance)
    with stages.stage("sign metadata"):
        roles, changed = _sign_roles(workspace, site, base, draft, keyring, state)
        cut = workspace.ledger.cuts[-1]
        data = keyring.snapshot(cut.release, datetime.fromisoformat(cut.time), roles)
        (draft.metadata / f"{cut.release}.{SNAPSHOT}.json").write_bytes(data)
        roles[SNAPSHOT] = role_file(cut.release, data)
        changed.append(SNAPSHOT)
    signed = DraftState(state.release, state.since, state.packages, "signed", state.rendered, roles, tuple(changed))
    draft.finish(signed)
    return signed


def _sign_roles(
    workspace: Workspace, site: Site, base: Base, draft: Draft, keyring: Keyring, state: DraftState
) -> tuple[dict[str, RoleFile], list[str]]:
    cuts = workspace.ledger.cuts
    # A new definition may have taken areas away: then nothing of the old roles is kept.
    keep = state.since >= definition_cut(cuts)
    roles: dict[str, RoleFile] = {}
    changed = []
    for role, version in role_versions(workspace, site).items():
        if version <= state.since and base.record:
            roles[role] = base.record.roles[role]
            continue
        listed = base.role_targets(role) if keep or role == SITE else {}
        if role == SITE:  # made anew each time, but for the inputs of earlier releases
            listed = {path: file for path, file in listed.items() if path.startswith("inputs/")}
        if role == SITE or role in state.rendered:
            listed.update({entry.path: (entry.length, entry.sha256) for entry in read_index(draft.files, role)})
        data = keyring.online_role(role, version, datetime.fromisoformat(cuts[version - 1].time), listed)
        (draft.metadata / f"{version}.{role}.json").write_bytes(data)
        roles[role] = role_file(version, data)
        changed.append(role)
    return roles, changed


def role_versions(workspace: Workspace, site: Site) -> dict[str, int]:
    """Version of each online role: the latest cut at which one of its files, or the trust, changed."""
    cuts = workspace.ledger.cuts
    trusted = [after.release for before, after in pairwise(cuts) if before.trust != after.trust]
    floor = max([1, *trusted])
    versions = {SITE: cuts[-1].release}
    for part in parts(workspace.definition):
        versions[part.role] = max(versions.get(part.role, floor), site.part_release(part))
    return versions
