"""A plan: what publishing would change, what it would cost at each target, and what all of this rests on.

`terbit plan` writes one; `terbit apply` signs and pushes exactly what it says, or nothing: every part of its basis is compared again first.
"""

import hashlib
from pathlib import Path

import msgspec

import builder
from builder.ledger import Ledger
from publish import limits
from publish.errors import DriftError
from publish.planning.changes import Changes
from publish.planning.estimate import Load, estimate
from publish.release import make
from publish.release.draft import Draft
from publish.release.flow import Flow
from publish.release.held import Held
from publish.release.record import Base

__all__ = ["Basis", "ReleasePlan", "drift", "make_plan", "read_plan"]

FORMAT = "terbit-plan-1"


class Basis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a plan rests on.

    `ledger` is the hash of its last record, `release` the cut that this is, `draft` the hash of the draft's contents (None: nothing to publish), `builder` the
    program's version. `targets` has for each target that answered what it shows: the hash of the snapshot that a timestamp of ours names (a renewed timestamp
    names the same one), else that of the timestamp's bytes; None where there is none.
    """

    ledger: str
    release: int
    draft: str | None
    targets: dict[str, str | None]
    builder: str


class ReleasePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that `terbit plan -o` writes. `unreached` are the targets that did not answer."""

    format: str
    changes: Changes
    targets: dict[str, Load]
    unreached: dict[str, str]
    basis: Basis


def make_plan(flow: Flow) -> ReleasePlan:
    """Cut and build what is waiting, unsigned, and say what publishing it would do."""
    changes = flow.changes
    draft = flow.build() if flow.behind else None
    loads = {name: estimate(flow, name, base, draft) for name, base in flow.behind.items()} if draft else {}
    basis = Basis(
        flow.workspace.ledger.end,
        flow.cut.release,
        draft.content_hash() if draft else None,
        {name: _shown(flow.held, base) for name, base in flow.held.bases.items()},
        builder.__version__,
    )
    return ReleasePlan(FORMAT, changes, loads, dict(flow.held.failed), basis)


def read_plan(path: Path) -> ReleasePlan:
    """A plan's file. DriftError if it is none, or another version's."""
    with path.open("rb") as file:
        data = file.read(limits.PLAN_FILE)
    try:
        plan = msgspec.json.decode(data, type=ReleasePlan)
    except (ValueError, RecursionError) as error:
        raise DriftError(f"{path} is not a plan ({error}); make one: terbit plan -o plan.json") from None
    if plan.format != FORMAT:
        raise DriftError(f"{path} is a plan of another version; make a new one: terbit plan -o plan.json")
    return plan


def drift(flow: Flow, basis: Basis) -> list[str]:
    """What is no longer as the plan says; nothing is written. Without a cut there is nothing to compare the inputs with."""
    ledger = flow.workspace.ledger
    if (builder.__version__, ledger.end) != (basis.builder, basis.ledger):
        other = f"terbit is {builder.__version__}, the plan's is {basis.builder}"
        return [other if builder.__version__ != basis.builder else _ledger_drift(ledger, basis)]
    trust, renew_after = flow.keyring.trust.sha256, flow.keyring.validity("snapshot") / 2
    outdated = make.outdated(flow.workspace, trust, flow.now, renew_after)
    found = [INPUT_DRIFT.get(name, f"{name} changed") for name in outdated]
    draft = Draft(flow.workspace.build / "draft" / str(basis.release))
    if basis.draft is not None:
        if draft.state() is None:
            found.append(f"the draft of release {basis.release} is gone")
        elif draft.content_hash() != basis.draft:
            found.append(f"the draft of release {basis.release} has other files")
    shown = {name: _shown(flow.held, base) for name, base in flow.held.bases.items()}
    for name in sorted(shown.keys() | basis.targets.keys()):
        if name not in shown:
            found.append(f"target {name} does not answer")
        elif name not in basis.targets:
            found.append(f"target {name} was not part of the plan")
        elif shown[name] != basis.targets[name]:
            found.append(f"target {name} shows another release")
    return found


INPUT_DRIFT = {
    "definition": "election.toml, areas.csv or map.topojson changed",
    "content": "content/pages changed",
    "templates": "the templates changed",
    "trust": "the offline-signed metadata changed",
    "time": "the cut is half a snapshot's life old, and due to be made anew",
}


def _ledger_drift(ledger: Ledger, basis: Basis) -> str:
    cut = ledger.cuts[-1].release if ledger.cuts else 0
    if cut != basis.release:
        return f"the ledger has cut release {cut} since"
    more = len(ledger.packages) - ledger.cuts[-1].through if cut else 0
    return f"the ledger has {more} more packages" if more else "the ledger is another one"


def _shown(held: Held, base: Base) -> str | None:
    if base.seen is None:
        return None
    named = held.named(base)
    return named.sha256 if named else hashlib.sha256(base.seen.data).hexdigest()
