"""The guard at work: every target and every public address is looked at again and again, each by a thread of its own, so that none waits for another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Event, Lock, Thread

from builder.errors import BuilderError
from publish.errors import PublishError
from publish.guard.alerts import Alerts
from publish.guard.judge import Finding
from publish.guard.public_watch import PublicWatch
from publish.guard.watch import TargetWatch
from publish.guard.wrong import told_time
from publish.targets import TIMESTAMP
from publish.workspace import Workspace
from verifier.printable import printable

__all__ = ["Patrol"]

SAVE_SECONDS = 60


class Patrol:
    """All watches of a workspace. `tell` is given each new finding, `note` what is worth a line on stderr."""

    def __init__(
        self,
        directory: Path,
        heal: bool,
        clock: Callable[[], datetime],
        tell: Callable[[Finding], None],
        note: Callable[[str], None],
        passphrase_file: Path | None = None,
    ) -> None:
        workspace = Workspace(directory)
        self._clock, self._tell, self._note = clock, tell, note
        self._interval = workspace.config.guard.interval
        self._alerts = Alerts(workspace.config.guard, directory, workspace.build / "guard" / "findings.jsonl", note)
        self._targets = [
            TargetWatch(directory, name, heal, clock, passphrase_file) for name in workspace.config.targets
        ]
        self._public = [
            PublicWatch(url, target, clock)
            for target in self._targets
            for url in workspace.config.targets[target.name].urls
        ]
        self.watches: list[TargetWatch | PublicWatch] = [*self._targets, *self._public]
        self._lock, self._stop = Lock(), Event()

    def once(self) -> list[Finding]:
        """One look at everything, the targets first."""
        found: list[Finding] = []
        for watches in (self._targets, self._public):
            with ThreadPoolExecutor(max(1, len(watches))) as threads:
                found += [finding for findings in threads.map(self._look, watches) for finding in findings]
        self._end()
        return found

    def run(self, interval: float | None = None) -> None:
        """Look until `stop`, or until the program is interrupted."""
        threads = [
            Thread(target=self._keep, args=(watch, interval or self._interval), daemon=True) for watch in self.watches
        ]
        for thread in threads:
            thread.start()
        self._note(f"Watching {len(self._targets)} targets and {len(self._public)} public addresses.")
        try:
            while not self._stop.wait(SAVE_SECONDS):
                self._save()
                if not all(thread.is_alive() for thread in threads):
                    raise PublishError("a part of the guard has ended, which must not be; start it again")
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self._end()

    def stop(self) -> None:
        """End `run` after the looks under way."""
        self._stop.set()

    def _keep(self, watch: TargetWatch | PublicWatch, interval: float) -> None:
        while not self._stop.is_set():
            self._look(watch)
            self._stop.wait(interval)

    def _look(self, watch: TargetWatch | PublicWatch) -> list[Finding]:
        try:
            findings = watch.sweep()
        except (PublishError, BuilderError, OSError) as error:
            findings = [Finding(told_time(self._clock()), watch.name, TIMESTAMP, "down", printable(str(error)))]
        except (
            Exception
        ) as error:  # whatever it is, a guard that has stopped looking must not look like one that finds nothing
            detail = f"the guard failed: {type(error).__name__}: {error}"
            findings = [Finding(told_time(self._clock()), watch.name, TIMESTAMP, "down", printable(detail))]
        try:
            fresh = self._alerts.report(watch.name, findings, self._clock().timestamp())
            with self._lock:
                for finding in fresh:
                    self._tell(finding)
        except Exception as error:  # a full disk, a closed stdout: the guard looks on and mends on
            with contextlib.suppress(OSError):
                self._note(f"findings could not be told: {type(error).__name__}: {error}")
        return findings

    def _save(self) -> None:
        for target in self._targets:
            try:
                target.save()
            except OSError as error:  # it is read again then
                self._note(f"what was verified could not be kept: {error}")

    def _end(self) -> None:
        self._save()
        for watch in self.watches:
            self._alerts.flush(watch.name, at_once=True)
