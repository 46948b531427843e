"""What the operator sees while a command works: one line a stage on stderr, and a bar for whatever takes over two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Stages"]

BAR_AFTER_SECONDS = 2.0


class Stages:
    """Times the stages of a command. `quiet` keeps the times and says nothing."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.seconds: dict[str, float] = {}

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr)

    @contextmanager
    def stage(self, name: str, total: int = 0, of: str = "") -> Iterator[Callable[[int], None]]:
        """Run a stage of `total` steps; the body calls what it is given with the steps done. `of`: which of several does it."""
        name = f"{of}: {name}" if of else name
        start = time.monotonic()
        bar = _Bar(self, name, total, start) if total and not self.quiet and sys.stderr.isatty() else None
        try:
            yield bar.advance if bar else _ignore
        finally:
            if bar:
                bar.close()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start
        self.say(f"{name:<28}{self.seconds[name]:7.2f} s")

    @cached_property
    def bars(self) -> Progress:
        """One display for all stages: several targets are pushed to at once."""
        from rich.console import Console
        from rich.progress import Progress

        progress = Progress(console=Console(stderr=True), transient=True)
        progress.start()
        return progress

    def close(self) -> None:
        """Leave the terminal as it was."""
        if "bars" in self.__dict__:
            self.bars.stop()


class _Bar:
    """A progress bar that appears only once the stage has proved slow."""

    def __init__(self, stages: Stages, name: str, total: int, start: float) -> None:
        self._stages, self._name, self._total, self._start, self._done = stages, name, total, start, 0
        self._task: TaskID | None = None

    def advance(self, steps: int) -> None:
        self._done += steps
        if time.monotonic() - self._start < BAR_AFTER_SECONDS:
            return
        if self._task is None:
            self._task = self._stages.bars.add_task(self._name, total=self._total)
        self._stages.bars.update(self._task, completed=self._done)

    def close(self) -> None:
        if self._task is not None:
            self._stages.bars.remove_task(self._task)


def _ignore(steps: int) -> None:
    pass
