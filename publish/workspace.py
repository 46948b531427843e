"""The operator's workspace: one folder with `terbit.toml`, content, inbox, ledger, keys, caches and the public tree."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from builder.election import Definition
from builder.errors import BuilderError
from builder.ledger import Ledger
from builder.rows import Rows, load_rows, save_rows
from builder.site import Inputs, Site, make_tallies, own_templates, packaged_templates
from builder.toml import parse_toml
from publish.config import Config, load_config
from publish.errors import PublishError
from publish.targets.local import LocalTarget

__all__ = ["Workspace"]


class Workspace:
    """Paths of a workspace, and what is read from them once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._locked: tuple[int, ...] = ()

    @cached_property
    def config(self) -> Config:
        return load_config(self.directory / "terbit.toml")

    @cached_property
    def inputs(self) -> Inputs:
        own = self.config.templates
        templates = own_templates(self.directory / own) if own else packaged_templates()
        return Inputs(self.directory / self.config.content, templates)

    @property
    def definition(self) -> Definition:
        return self.inputs.definition

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.directory / self.config.ledger)

    @property
    def log(self) -> Path:
        """The public log as it is continued from here; part of the ledger's folder, since both are backed up together."""
        return self.ledger.directory / "log"

    @property
    def inbox(self) -> Path:
        return self.directory / self.config.inbox

    @property
    def build(self) -> Path:
        return self.directory / self.config.build

    @property
    def keys(self) -> Path:
        return self.directory / self.config.keys

    @property
    def public(self) -> Path:
        return self.directory / self.config.public

    @property
    def log_begun(self) -> Path:
        """There once the log was first signed: beside the keys, so that their backup tells it where the ledger is gone."""
        return self.keys / "log-begun"

    def local_targets(self) -> list[LocalTarget]:
        """The targets that are folders here."""
        election = self.definition.election.id
        return [
            LocalTarget(name, self.directory / target.folder / election, self.build / "guard" / "set-aside")
            for name, target in self.config.targets.items()
            if target.folder is not None
        ]

    @property
    def frozen(self) -> dict[str, str] | None:
        """Since when and why nothing new is taken in (`frozen.toml`: `since`, `reason`); None when all goes its way."""
        try:
            data = (self.directory / "frozen.toml").read_bytes()
        except FileNotFoundError:
            return None
        tree = parse_toml(data, file="frozen.toml", error=BuilderError)
        return {name: str(tree.get(name, "")) for name in ("since", "reason")}

    @property
    def state(self) -> Path:
        """Cache of the folded rows; can be deleted."""
        return self.build / "state"

    @property
    def dropped(self) -> Path:
        """Lists of the files of drafts that were pushed in part and never published: the guard knows their objects by them."""
        return self.build / "dropped"

    @cached_property
    def rows(self) -> dict[str, Rows]:
        return load_rows(self.ledger, self.definition, self.state)

    def save_rows(self) -> None:
        save_rows(self.ledger, self.definition, self.rows, self.state)

    def site(self) -> Site:
        """The site at the ledger's last cut."""
        if not self.ledger.cuts:
            raise PublishError("nothing has been cut yet; run: terbit build")
        return Site(self.inputs, self.ledger, make_tallies(self.rows, self.definition, self.ledger.cuts))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One publisher at a time in this workspace; the second is told so at once."""
        # What lies here is published as it is: drafts, and rows folded from the ledger.
        self.build.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.build / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PublishError(f"another terbit is publishing from {self.directory}; wait for it to end") from error
            # Waits for the few files that the guard may be putting right at this moment.
            with self._folder_lock(fcntl.LOCK_EX) as folder:
                self._locked = (file.fileno(), folder)
                yield

    @contextmanager
    def unlocked(self) -> Iterator[None]:
        """Within `lock`: let others work here for a while. They may have changed anything afterwards."""
        for descriptor in self._locked:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        try:
            yield
        finally:
            for descriptor in self._locked:
                fcntl.flock(descriptor, fcntl.LOCK_EX)

    @contextmanager
    def quiet(self) -> Iterator[bool]:
        """Held by the guard while it looks at and mends what a publisher replaces; False if one is at work. One that starts meanwhile waits."""
        self.build.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(self._folder_lock(fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextmanager
    def _folder_lock(self, operation: int) -> Iterator[int]:
        descriptor = os.open(self.build, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, operation)
            yield descriptor
        finally:
            os.close(descriptor)
