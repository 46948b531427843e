"""Earlier releases, made again one after the other, and held against what their lists say.

What a release published need not be there any more: its lists have the hash of every file, and the log binds the lists. From one release to the next only what
changed is made again, from what was made here before, and never from what was published.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder.hashing import input_hash
from builder.ledger import Cut, Ledger
from builder.recap import Package
from builder.replay import replay
from builder.rows import Rows
from builder.site import Inputs
from verifier import limits
from verifier.audit.comparison import compare, with_partings
from verifier.audit.inputs import DEFINITION_PATHS, check_program, lay_out_earlier_inputs
from verifier.audit.lists import Lists, read_lists, read_object
from verifier.audit.rebuild import SITE, Listing, Plan, Roles, lay_out_plan, rebuild
from verifier.audit.report import Change
from verifier.audit.signatures import Signatures
from verifier.audit.workshop import Workshop
from verifier.errors import FormatError, VerificationError, VerifierError
from verifier.fetcher import Fetcher, MissingError
from verifier.files import is_stray
from verifier.formats import leaves
from verifier.officials import SIGNERS_PATH

__all__ = ["Earlier", "Outcome"]


@dataclass
class Outcome:
    """One release: what was published otherwise than its inputs say, or compressed otherwise; what else does not hold; and why not all of it can be said, if so."""

    changes: list[Change] = field(default_factory=list)
    recompressed: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unknown: str = ""

    @property
    def verdict(self) -> str:
        """`same`, `differs` or `unknown`."""
        return "differs" if self.changes else "unknown" if self.unknown or self.problems else "same"

    @property
    def why(self) -> str:
        """What is to be said beside the verdict, if anything."""
        return self.unknown or (f"{len(self.recompressed)} files compressed otherwise" if self.recompressed else "")


class Earlier:
    """The earlier releases of one audit, one after the other. `folder` holds the newest one's inputs and the whole ledger; `packages` are the log's."""

    def __init__(
        self, fetcher: Fetcher, folder: Path, packages: Sequence[Package], roots: int, workshop: Workshop
    ) -> None:
        self._fetcher, self._folder, self._packages, self._workshop = fetcher, folder, packages, workshop
        self._roots, self._signatures = roots, Signatures(fetcher)
        self._rows: dict[str, Rows] = {}
        self._folded = ("", 0)  # by which definition, and how many packages
        self._lists: dict[str, Listing] = {}
        self._made: Roles = {}
        self._last = 0

    def audit(self, cut: Cut, release: leaves.Release) -> Outcome:
        """Make the release of `cut` again, which the log has as `release`, and compare every file that it listed."""
        found = Outcome()
        try:
            check_program(cut)
            lists = read_lists(self._fetcher, release, self._lists)
            inputs = self._inputs(cut, lists)
            found.problems += self._trust_problems(cut, lists)
        except (VerificationError, FormatError) as error:
            found.problems.append(f"release {cut.release}: {error}")
            return found
        except VerifierError as error:
            found.unknown = str(error)
            return found
        try:
            plan = self._plan(cut, inputs)
            self._made = rebuild(plan, self._workshop, self._made, self._last)
            self._last = cut.release
        except Exception as error:  # definition and packages are the publisher's, too
            self._folded = ("", 0)
            found.problems.append(f"release {cut.release} cannot be made again from the logged inputs: {error}")
            return found
        self._compare(found, plan, lists)
        shutil.rmtree(plan.tallies)
        return found

    def _inputs(self, cut: Cut, lists: Lists) -> Inputs:
        def definition() -> dict[str, bytes]:
            listed = lists.roles.get("trust")
            if listed is None:
                raise MissingError("the list of its definition is not public any more")
            there = [path for path in DEFINITION_PATHS if path in listed]
            return {path.partition("/")[2]: read_object(self._fetcher, path, listed[path][1]) for path in there}

        return lay_out_earlier_inputs(self._folder, cut, definition)

    def _trust_problems(self, cut: Cut, lists: Lists) -> Iterator[str]:
        """What of the offline-signed metadata that the release names is not what was logged for it, or has not signed what it names."""
        if "trust" in lists.gone or "targets" in lists.gone:
            return
        names = [f"{version}.root.json" for version in range(1, self._roots + 1)]
        roots = ((name, self._fetcher.fetch(f"metadata/{name}", limits.ROOT_METADATA)) for name in names)
        root = next((data for name, data in roots if input_hash({name: data, **lists.offline}) == cut.trust), None)
        if root is None:
            yield f"release {cut.release} was logged with other offline-signed metadata than it names"
        else:
            yield from (f"release {cut.release}: {what}" for what in self._signatures.problems(root, lists))
        signers = lists.roles.get("trust", {}).get(SIGNERS_PATH)
        if cut.signers != (signers[1] if signers else None):
            yield f"release {cut.release} was logged with another {SIGNERS_PATH}"

    def _plan(self, cut: Cut, inputs: Inputs) -> Plan:
        definition = inputs.definition
        by, known = self._folded
        if by != cut.definition:
            known, self._rows = 0, {contest.id: Rows(contest) for contest in definition.election.contests}
        for _ in replay(self._packages[known : cut.through], self._rows, definition, known):
            pass  # the verdicts are the newest release's audit's
        self._folded = cut.definition, cut.through
        ledger = Ledger(self._folder / "ledger")
        del ledger.cuts[cut.release :]
        return lay_out_plan(self._folder, inputs, self._rows, ledger)

    def _compare(self, found: Outcome, plan: Plan, lists: Lists) -> None:
        made = {role: files for role, files in self._made.items() if role not in lists.gone}
        compared = compare(lists.roles, made, plan, self._workshop, self._fetcher)
        site = lists.roles.get(SITE, {})
        strays = [path for path in site if is_stray(path, plan.release, site)]
        changes = [Change(path, "is no pack of this release", site[path][1]) for path in strays]
        changes += with_partings(compared.changes, plan, self._workshop, self._fetcher)
        found.changes = [replace(change, release=plan.release) for change in changes]
        found.recompressed = [replace(change, release=plan.release) for change in compared.recompressed]
        if lists.gone:
            found.unknown = f"{len(lists.gone)} of its lists are not public any more"
        elif compared.gone:
            found.unknown = f"{len(compared.gone)} data files are other bytes, perhaps by their compression alone, and not public any more"
