"""What the log says in its order: packages, refusals, cuts, releases, roots, redactions; and what no honest log could say."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from builder.ledger import Cut
from verifier.audit.records import cut_record
from verifier.formats import leaves
from verifier.formats.leaves import Leaf

__all__ = ["History", "changed_inputs", "read_history"]

INPUTS = ("through", "definition", "content", "templates", "trust", "signers", "builder", "results")
NAMES = {"through": "packages"}


@dataclass
class History:
    """The log up to the entry of one release. `problems` are contradictions within it."""

    packages: list[leaves.Package] = field(default_factory=list)
    refused: list[leaves.Refused] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    releases: list[leaves.Release] = field(default_factory=list)
    roots: list[leaves.Root] = field(default_factory=list)
    redacted: list[leaves.Redacted] = field(default_factory=list)
    told_by: list[int] = field(default_factory=list)  # of each of these, the first release that tells of it
    problems: list[str] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _trusts: set[str] = field(default_factory=set)
    _snapshots: dict[str, leaves.Release] = field(default_factory=dict)

    def signers_around(self, number: int) -> list[str]:
        """The hashes of the `allowed_signers` that were in force around package `number` (from 1): those of the cuts before and after it."""
        return list(dict.fromkeys(cut.signers for cut in self.around(number) if cut.signers))

    def around(self, number: int) -> list[Cut]:
        """The cuts before and after package `number`; the first of them has none before it."""
        after = bisect_left(self.cuts, number, key=lambda cut: cut.through)
        return self.cuts[max(0, after - 1) : after + 1]

    def is_between(self, number: int, time: str) -> bool:
        """Whether package `number` could have been judged at `time`."""
        around = self.around(number)
        return time <= around[-1].time and (len(around) == 1 or around[0].time <= time)


def read_history(entries: Sequence[Leaf]) -> History:
    """The history that these entries tell."""
    found = History()
    for number, leaf in enumerate(entries):
        found.problems += [f"entry {number} of the log: {problem}" for problem in _take(found, leaf)]
    return found


def _take(history: History, leaf: Leaf) -> Iterator[str]:
    match leaf:
        case leaves.Package():
            if leaf.package in history._names:
                yield f"package {leaf.package} was accepted before"
            history._names.add(leaf.package)
            history.packages.append(leaf)
        case leaves.Refused():
            history.refused.append(leaf)
        case leaves.Inputs():
            yield from _take_cut(history, leaf)
        case leaves.Release():
            yield from _take_release(history, leaf)
        case leaves.Root():
            if leaf.file != f"{len(history.roots) + 1}.root.json":
                yield f"{leaf.file} does not follow root {len(history.roots)}"
            history.roots.append(leaf)
        case leaves.Redacted():
            history.redacted.append(leaf)
            history.told_by.append(len(history.cuts) + 1)


def _take_cut(history: History, leaf: leaves.Inputs) -> Iterator[str]:
    last = history.cuts[-1] if history.cuts else None
    if leaf.release != len(history.cuts) + 1:
        yield f"the inputs of release {leaf.release} follow those of {len(history.cuts)}"
    if leaf.packages != len(history.packages):
        yield f"the inputs of release {leaf.release} have {leaf.packages} packages, and {len(history.packages)} were accepted"
    if last and leaf.time < last.time:
        yield f"the inputs of release {leaf.release} are older than those before them"
    history.cuts.append(cut_record(leaf))
    if last and leaf.trust != last.trust and leaf.trust in history._trusts:  # versions only grow: no hash comes twice
        yield f"release {leaf.release} goes back to offline-signed metadata that was replaced before it"
    history._trusts.add(leaf.trust)


def _take_release(history: History, leaf: leaves.Release) -> Iterator[str]:
    number = int(leaf.file.partition(".")[0])
    if number != len(history.cuts):
        yield f"release {number} was signed, and the last inputs are those of {len(history.cuts)}"
    if history._snapshots.setdefault(leaf.file, leaf) != leaf:
        yield f"release {number} was signed before, with another snapshot: two stories under one number"
    history.releases.append(leaf)


def changed_inputs(before: Cut | None, after: Cut) -> list[str]:
    """Which inputs a cut has others than the one before it. None of them: its release only renewed what was about to expire."""
    if before is None:
        return ["packages", *INPUTS[1:]]
    return [NAMES.get(name, name) for name in INPUTS if getattr(before, name) != getattr(after, name)]
