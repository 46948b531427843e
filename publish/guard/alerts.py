"""Whom the guard tells: a log on disk, a command, a webhook, a Prometheus textfile. One alert for all that one look found.

None of these may keep the guard from looking on: each has a time limit, and what fails is said on stderr.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from builder import durable
from publish import limits
from publish.guard.judge import Finding, is_mended

if TYPE_CHECKING:
    from publish.config import GuardConfig

__all__ = ["Alerts"]

COMMAND_SECONDS = 30
WEBHOOK_SECONDS = 10
WEBHOOK_TRIES = 3
TOLD = 100  # findings of one look that an alert lists; its count tells of all
WAIT_SECONDS = 10  # at least so long between two alerts of the same place


class _Alert(msgspec.Struct):
    where: str
    count: int
    findings: list[Finding]


class Alerts:
    """Tells what is found. Thread-safe: each place is watched by a thread of its own."""

    def __init__(self, config: GuardConfig, directory: Path, log: Path, say: Callable[[str], None]) -> None:
        """`directory` is the workspace, to which the configuration's paths are relative."""
        self._config, self._directory, self._log, self._say = config, directory, log, say
        self._lock = Lock()
        self._open: dict[str, set[tuple[str, str, str]]] = {}
        self._waiting: dict[str, list[Finding]] = {}
        self._told: dict[str, float] = {}
        self._looks: Counter[str] = Counter()
        self._found: Counter[tuple[str, str]] = Counter()
        self._now: dict[str, Counter[str]] = {}
        self._seen: dict[str, float] = {}

    def report(self, where: str, findings: Sequence[Finding], now: float) -> list[Finding]:
        """What one look at `where` found, at Unix time `now`; returns what was not known before, which alone is told again."""
        with self._lock:
            known = self._open.get(where, set())
            fresh = [one for one in findings if (one.path, one.what, one.sha256) not in known]
            # What was put right and comes again is another attack; what stands on is not.
            self._open[where] = {(one.path, one.what, one.sha256) for one in findings if not is_mended(one)}
            self._looks[where] += 1
            self._found.update((where, one.what) for one in fresh)
            self._now[where] = Counter(one.what for one in findings if not is_mended(one))
            self._seen[where] = now
            if fresh:
                self._append(fresh)
            self._metrics()
        self._waiting.setdefault(where, []).extend(one for one in fresh if one.what != "stale")
        self.flush(where)
        return fresh

    def flush(self, where: str, *, at_once: bool = False) -> None:
        """Send what waits for `where`, unless something was sent just before."""
        waiting, now = self._waiting.get(where), time.monotonic()
        if not waiting or (not at_once and now - self._told.get(where, -WAIT_SECONDS) < WAIT_SECONDS):
            return
        self._waiting[where] = []
        self._told[where] = now
        alert = msgspec.json.encode(_Alert(where, len(waiting), waiting[:TOLD]))
        if self._config.command:
            self._command(alert)
        if self._config.webhook or self._config.webhook_file:
            self._webhook(alert)

    def _append(self, findings: Sequence[Finding]) -> None:
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            if self._log.exists() and self._log.stat().st_size > limits.FINDINGS_LOG_BYTES:
                self._log.replace(self._log.with_suffix(".1.jsonl"))
            durable.append_lines(self._log, b"".join(msgspec.json.encode(one) + b"\n" for one in findings))
        except OSError as error:
            self._say(f"{self._log} cannot be written: {error.strerror or error}")

    def _command(self, alert: bytes) -> None:
        try:
            subprocess.run(  # noqa: S603 - the operator's own command, from his configuration, without a shell
                self._config.command,
                input=alert,
                cwd=self._directory,
                timeout=COMMAND_SECONDS,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._say(f"the alert command failed: {error}")

    def _webhook(self, alert: bytes) -> None:
        import urllib3

        from verifier.deadline import Deadline, with_deadlines

        try:
            if self._config.webhook_file:
                url = (self._directory / self._config.webhook_file).read_text().strip()
            else:
                url = self._config.webhook or ""
            retries = urllib3.Retry(
                WEBHOOK_TRIES,
                redirect=0,
                backoff_factor=0.3,
                status_forcelist=[429, 500, 502, 503, 504],
                allowed_methods=None,
                retry_after_max=WEBHOOK_SECONDS,
            )
            pool = with_deadlines(urllib3.PoolManager(retries=retries, timeout=WEBHOOK_SECONDS))
            headers = {"Content-Type": "application/json", "User-Agent": "terbit-guard"}
            with Deadline().running(COMMAND_SECONDS):
                answer = pool.request("POST", url, body=alert, headers=headers)
            if answer.status >= 300:
                self._say(f"the alert webhook answered {answer.status}")
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            # The address may hold a secret: only the kind of failure is told.
            self._say(f"the alert webhook failed: {type(error).__name__}")

    def _metrics(self) -> None:
        if self._config.textfile is None:
            return
        lines = ["# TYPE terbit_guard_looks_total counter"]
        lines += [f"terbit_guard_looks_total{_labels(where=where)} {count}" for where, count in self._looks.items()]
        lines += ["# TYPE terbit_guard_findings_total counter"]
        lines += [
            f"terbit_guard_findings_total{_labels(where=where, what=what)} {count}"
            for (where, what), count in sorted(self._found.items())
        ]
        lines += ["# TYPE terbit_guard_open gauge"]
        for where, kinds in self._now.items():
            every = {"altered", "deleted", "added", "withheld", "stale", "down", "unfinished"}
            lines += [f"terbit_guard_open{_labels(where=where, what=what)} {kinds[what]}" for what in sorted(every)]
        lines += ["# TYPE terbit_guard_last_look_seconds gauge"]
        lines += [f"terbit_guard_last_look_seconds{_labels(where=where)} {at:.3f}" for where, at in self._seen.items()]
        try:
            durable.write_file(self._directory / self._config.textfile, ("\n".join(lines) + "\n").encode())
        except OSError as error:
            self._say(f"{self._config.textfile} cannot be written: {error.strerror or error}")


def _labels(**labels: str) -> str:
    quoted = (
        f'{name}="{value.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"'
        for name, value in labels.items()
    )
    return "{" + ",".join(quoted) + "}"
