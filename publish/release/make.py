"""One release: cut, made, signed. What comes out is a draft on disk; `publish.release.push` makes it public.

A release is a function of the ledger through its cut, the inputs and the keys, so that a retry gives the same bytes. Only what changed since the
release that the target holds is made: files by the releases that the ledger computes, roles by their files.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, pairwise

import msgspec

import builder
from builder.errors import BuilderError
from builder.inputs import keep_archive
from builder.ledger import Cut, Ledger, RootRecord
from builder.pack import listing, read_index, write_pack
from builder.results import RESULTS_FORMAT
from builder.site import Site, entry_of, parts
from publish.errors import FrozenError
from publish.progress import Stages
from publish.release.draft import Draft, DraftState
from publish.release.gone import kept_files
from publish.release.jobs import Job, Runner
from publish.release.packs import write_packs
from publish.release.record import Base
from publish.signing.keyring import Keyring
from publish.signing.offline import Trust
from publish.signing.repository import RoleFile, role_file
from publish.workspace import Workspace
from verifier.officials import SIGNERS_PATH

__all__ = [
    "TIME_FORMAT",
    "build",
    "check_frozen",
    "cosign",
    "cut_inputs",
    "make_cut",
    "outdated",
    "role_versions",
    "sign",
    "sign_roles",
    "sign_site",
    "sign_snapshot",
]

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
SITE, TRUST, SNAPSHOT = "site", "trust", "snapshot"

Signatures = Mapping[str, Mapping[str, str]]  # by metadata file and keyid, hexadecimal


def make_cut(
    workspace: Workspace, trust: Trust, now: datetime, renew_after: timedelta, spent: int, *, full_packs: bool = False
) -> Cut:
    """The cut to publish: the last one, or a new one when an input changed, the last one's snapshot has aged, an order is to be told, its number is `spent`, or
    `full_packs` are asked for."""
    ledger, inputs = workspace.ledger, cut_inputs(workspace, trust.sha256)
    last = ledger.cuts[-1] if ledger.cuts else None
    reasons = outdated(workspace, trust.sha256, now, renew_after)
    if last is not None and last.release == spent:
        reasons = reasons or ["log"]
    if last is not None and full_packs:
        reasons = reasons or ["packs"]
    if reasons not in (["time"], ["log"]) and reasons and (frozen := workspace.frozen):
        raise _frozen(frozen, "something has changed since the last release")
    if last is not None and not reasons:
        return last
    signers = trust.files.get(SIGNERS_PATH)
    cut = Cut(
        release=last.release + 1 if last else 1,
        time=now.strftime(TIME_FORMAT),
        signers=hashlib.sha256(signers).hexdigest() if signers is not None else None,
        full=(full_packs and last is not None) or _full_packs_due(ledger.cuts, now, workspace.config.full_packs_hours),
        **inputs,  # type: ignore[arg-type]
    )
    for kind, files in workspace.inputs.archived.items():
        keep_archive(ledger.directory, kind, files)
    with ledger.lock():
        ledger.add(_new_roots(ledger, trust))
        ledger.add_cut(cut)
    return cut


def _full_packs_due(cuts: Sequence[Cut], now: datetime, hours: int) -> bool:
    """True if the last full packs are older than that (0: never). The first release's are full as they are."""
    last = next((cut for cut in reversed(cuts) if cut.full or cut.release == 1), None)
    return hours > 0 and last is not None and now >= datetime.fromisoformat(last.time) + timedelta(hours=hours)


def check_frozen(workspace: Workspace, shown: int) -> None:
    """FrozenError while frozen, if the last cut brings something new and none of the targets shows it yet; they show release `shown`, 0 for none."""
    cuts, frozen = workspace.ledger.cuts, workspace.frozen
    if not frozen or shown >= cuts[-1].release:
        return
    before = msgspec.structs.replace(cuts[shown - 1], release=cuts[-1].release, time=cuts[-1].time) if shown else None
    orders = [first for files in workspace.ledger.redacted.values() for _, first in files.values()]
    if before != cuts[-1] or any(first > shown for first in orders):
        raise _frozen(frozen, f"release {cuts[-1].release} was cut before")


def _frozen(frozen: Mapping[str, str], what: str) -> FrozenError:
    stays = "the last release stays public. To go on: terbit freeze --end"
    return FrozenError(f"frozen since {frozen['since']} ({frozen['reason']}), and {what}; {stays}")


def _new_roots(ledger: Ledger, trust: Trust) -> list[RootRecord]:
    """The roots in force that are not on record yet, in order."""
    known = {record.file for record in ledger.records if isinstance(record, RootRecord)}
    roots = sorted((int(name.partition(".")[0]), name) for name in trust.metadata if name.endswith(".root.json"))
    files = [(name, trust.metadata[name]) for _, name in roots if name not in known]
    return [RootRecord(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files]


def outdated(workspace: Workspace, trust: str, now: datetime, renew_after: timedelta) -> list[str]:
    """Why a new cut is due: names of the inputs that are not the last cut's (all, before the first), `time` when its snapshot has aged, `orders` when it does not tell of all withheld scans."""
    last, inputs = workspace.ledger.cuts[-1] if workspace.ledger.cuts else None, cut_inputs(workspace, trust)
    if last is None:
        return list(inputs)
    aged = now >= datetime.fromisoformat(last.time) + renew_after
    changed = [name for name, value in inputs.items() if getattr(last, name) != value]
    return changed + ["time"] * aged + ["orders"] * workspace.ledger.has_untold_orders


def cut_inputs(workspace: Workspace, trust: str) -> dict[str, object]:
    """What a cut made now would record, but for number and time."""
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
    name: str = "",
) -> None:
    """Make the files that changed since `base` into the draft; `jobs` after the first do in the same go what would come later. `name`: of the stage."""
    cut = workspace.ledger.cuts[-1]
    roles = list(
        dict.fromkeys(part.role for part in parts(workspace.definition) if site.part_release(part) > base.release)
    )
    with stages.stage(name or ("build" if len(jobs) == 1 else "build, sign, put"), len(roles)) as advance:
        runner.run(jobs, roles, advance)
        write_pack(draft.files, SITE, chain(site.site_files(), site.lasting_files(base.release)))
        write_pack(draft.files, TRUST, (entry_of(path, data) for path, data in sorted(trust_files.items())))
    draft.finish(DraftState(cut.release, base.release, base.packages, "built", tuple(roles)))


def sign(
    workspace: Workspace,
    site: Site,
    base: Base,
    draft: Draft,
    keyring: Keyring,
    runner: Runner,
    stages: Stages,
    others: Callable[[DraftState], Signatures | None],
    whole: Callable[[DraftState], Draft | None],
) -> DraftState:
    """Sign the draft: minisign on each results file, the lists of the roles that changed, the packs and the role `site` that lists them, the snapshot.

    `whole` makes what full packs hold (publish/release/whole.py). `others` gives other signers' signatures for a draft as it is so far, None where ours suffice; where it raises, the next run goes on from there.
    """
    state = draft.state()
    if state is None:
        raise BuilderError("there is no built draft to sign; run: terbit build", file=draft.directory)
    if state.stage == "built":
        with stages.stage("sign results", len(state.rendered)) as advance:
            runner.run([("sign",)], state.rendered, advance)
        with stages.stage("sign metadata"):
            state = sign_roles(workspace, site, base, draft, keyring, state)
            draft.finish(state)
    if state.stage == "roles":
        every = whole(state)
        state = cosign(draft, keyring, state, others(state), state.changed)
        with stages.stage("pack"):
            state = sign_site(workspace, site, base, draft, keyring, runner, state, every)
            draft.finish(state)
    signatures = others(state)
    state = sign_snapshot(workspace, draft, keyring, cosign(draft, keyring, state, signatures, [SITE]))
    state = cosign(draft, keyring, state, signatures, [SNAPSHOT])
    draft.finish(state)
    return state


def sign_roles(
    workspace: Workspace, site: Site, base: Base, draft: Draft, keyring: Keyring, state: DraftState
) -> DraftState:
    """Sign the lists of groups and shards, as far as they changed, with the keys that are here."""
    cuts = workspace.ledger.cuts
    is_kept = kept_files(state.since, cuts)
    roles: dict[str, RoleFile] = {}
    changed = []
    for role, version in role_versions(workspace, site).items():
        if version <= state.since and base.record and role in base.record.roles:
            roles[role] = base.record.roles[role]
        elif role != SITE:
            listed = {path: file for path, file in base.role_targets(role).items() if is_kept(path)}
            if role in state.rendered:
                listed.update(listing(read_index(draft.files, role)))
            data = keyring.online_role(role, version, datetime.fromisoformat(cuts[version - 1].time), listed)
            roles[role] = _write(draft, role, version, data)
            changed.append(role)
    return msgspec.structs.replace(state, stage="roles", roles=roles, changed=tuple(changed))


def sign_site(
    workspace: Workspace,
    site: Site,
    base: Base,
    draft: Draft,
    keyring: Keyring,
    runner: Runner,
    state: DraftState,
    whole: Draft | None,
) -> DraftState:
    """Make the packs, which hold the other roles' lists, and sign the role `site`, which lists the packs. `whole`: the draft for full ones."""
    cut = workspace.ledger.cuts[-1]
    # Made anew each time, but for what lasts; if the search index is another one, its old files go.
    kept = ("inputs/",) if site.pages_release > state.since else ("inputs/", "search/")
    listed = {path: file for path, file in base.role_targets(SITE).items() if path.startswith(kept)}
    listed |= listing(read_index(draft.files, SITE))
    listed |= write_packs(site, draft, state, runner, whole, base.directory)
    data = keyring.online_role(SITE, cut.release, datetime.fromisoformat(cut.time), listed)
    roles = {**state.roles, SITE: _write(draft, SITE, cut.release, data)}
    return msgspec.structs.replace(state, stage="site", roles=roles, changed=(*state.changed, SITE))


def sign_snapshot(workspace: Workspace, draft: Draft, keyring: Keyring, state: DraftState) -> DraftState:
    """Sign the snapshot: it names every list with all of its signatures, so it is the last."""
    cut = workspace.ledger.cuts[-1]
    data = keyring.snapshot(cut.release, datetime.fromisoformat(cut.time), state.roles)
    roles = {**state.roles, SNAPSHOT: _write(draft, SNAPSHOT, cut.release, data)}
    return msgspec.structs.replace(state, stage="signed", roles=roles, changed=(*state.changed, SNAPSHOT))


def cosign(
    draft: Draft, keyring: Keyring, state: DraftState, signatures: Signatures | None, roles: Iterable[str]
) -> DraftState:
    """Add others' signatures, if there are others, to the metadata of some roles. SigningError where a role has fewer than its threshold then."""
    if signatures is None:
        return state
    files = {}
    for role in roles:
        version = state.roles[role].version
        name = f"{version}.{role}.json"
        data = keyring.with_signatures(role, (draft.metadata / name).read_bytes(), signatures.get(name, {}))
        files[role] = _write(draft, role, version, data)
    return msgspec.structs.replace(state, roles={**state.roles, **files})


def _write(draft: Draft, role: str, version: int, data: bytes) -> RoleFile:
    (draft.metadata / f"{version}.{role}.json").write_bytes(data)
    return role_file(version, data)


def role_versions(workspace: Workspace, site: Site) -> dict[str, int]:
    """Version of each online role: the latest cut at which one of its files, or the trust, changed."""
    cuts = workspace.ledger.cuts
    trusted = [after.release for before, after in pairwise(cuts) if before.trust != after.trust]
    floor = max([1, *trusted])
    versions = {SITE: cuts[-1].release}
    for part in parts(workspace.definition):
        versions[part.role] = max(versions.get(part.role, floor), site.part_release(part))
    # A group whose contests all lie within shards has no files, but it delegates to them.
    return versions | {group: floor for group in workspace.definition.election.groups if group not in versions}
