"""What the targets hold: the release of each, which of them lack one, and what went wrong at which."""

from functools import cached_property

from publish.errors import RaceError, TargetError
from publish.progress import Stages
from publish.release.lineage import Lineage
from publish.release.record import Base, Record, open_record
from publish.signing.keyring import Keyring
from publish.signing.repository import RoleFile
from publish.targets import TIMESTAMP
from publish.targets.open import open_targets
from publish.workspace import Workspace

__all__ = ["Held"]


class Held:
    """The targets of one run, each read when it is first asked for. `failed` has what could not be done at which of them; it is said as it happens."""

    def __init__(self, workspace: Workspace, keyring: Keyring, stages: Stages) -> None:
        self._workspace, self._keyring, self._stages = workspace, keyring, stages
        self.targets = {target.name: target for target in open_targets(workspace, stages.say)}
        self.failed: dict[str, str] = {}

    @cached_property
    def bases(self) -> dict[str, Base]:
        """What each target holds; one that is down is left out, and caught up at the next run.

        Raises:
            RaceError: a target shows a release that was made elsewhere with our keys.
        """
        found = {}
        for name, target in self.targets.items():
            try:
                base = Base(open_record(self._workspace, name), target.read(TIMESTAMP))
            except TargetError as error:
                self.fail(name, error)
                continue
            if (before := base.store.elsewhere()) is not None:
                self._stages.say(
                    f"{name} was another place ({before.place}) when it was last published to: everything is built and put here."
                )
            if base.seen is not None and base.record is None:
                self._check_ours(name, base)
                if base.store.read() is not None:
                    self._stages.say(
                        f"{name} does not show what we last put there: everything is built and compared again."
                    )
            found[name] = base
        if not found:
            self.check_failed()
        return found

    def _check_ours(self, name: str, base: Base) -> None:
        """Go on only from a release of our own line: another copy of this workspace would lose what only it has published."""
        named = self.named(base)
        if named is not None and not Lineage(self._workspace.ledger.directory).has(named.version, named.sha256):
            raise RaceError(
                f"{name} shows release {named.version}, signed with our keys but not made here: another publisher is at work, or this is an old copy. "
                "Nothing was published. Let only one go on; what the other one took in lies in its ledger/packages and can be handed in there"
            )

    def named(self, base: Base) -> RoleFile | None:
        """The snapshot of the release that a target shows; None where no timestamp of ours stands."""
        return self._keyring.named_snapshot(base.seen.data) if base.seen else None

    def behind(self, release: int) -> dict[str, Base]:
        """The targets that do not hold `release`, those that lack most first."""
        behind = {name: base for name, base in self.bases.items() if base.release != release}
        return dict(sorted(behind.items(), key=lambda item: item[1].release))

    @cached_property
    def shown(self) -> int | None:
        """The newest release that we know to be public, as a timestamp of ours at a target says, or our own record; None if none ever was."""
        found = []
        for name, record in self.records().items():
            base = self.bases.get(name)
            seen, named = (base.seen, self.named(base)) if base else (None, None)
            if named or record or seen:
                found.append(named.version if named else record.release if record else 0)
        return max(found, default=None)

    def records(self) -> dict[str, Record | None]:
        """What is on record here of every target, whether it answers or not."""
        return {name: open_record(self._workspace, name).read() for name in self.targets}

    def look_again(self) -> None:
        """Forget what the targets hold: it is read anew."""
        self.__dict__.pop("bases", None)

    def fail(self, name: str, error: TargetError) -> None:
        """Keep and say what could not be done at a target."""
        self.failed[name] = f"{name}: {str(error).removeprefix(f'{name}: ')}"
        self._stages.say(f"FAILED {self.failed[name]}")

    def check_failed(self) -> None:
        """TargetError if at some target it could not be done; at the others it was. What was said as it happened is not said again."""
        if self.failed:
            said = f"{', '.join(self.failed)} failed, as said above"
            raise TargetError("; ".join(self.failed.values()) if self._stages.quiet else said)
