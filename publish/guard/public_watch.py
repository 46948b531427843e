"""One look of the guard at one public address: does the public get what the last release signed?

The timestamp is asked for first, then the front pages and those of country and provinces, and a part of everything else, another one each time. An earlier
copy with our signature is *stale* as long as a cache may show it; whatever else is not right is *altered*.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec
import urllib3

from builder import durable
from publish.guard.expected import Expected
from publish.guard.judge import ALTERED, Finding, Right, holds
from publish.guard.purge import purged
from publish.guard.watch import TargetWatch
from publish.guard.wrong import told_time
from publish.signing.ours import signature_for, signed_by
from publish.targets import TIMESTAMP
from verifier.deadline import Deadline, with_deadlines

__all__ = ["PublicWatch"]

CONNECTIONS = 8
TIMEOUT = urllib3.Timeout(connect=5, read=10)
ALTOGETHER = 30.0  # seconds for one file
STALLS = 8  # answers of one look that did not come in time, after which the rest is left to the next
WHOLE_EVERY = 10  # looks: in between a 304 is believed for the pages that are asked for each time
SLACK = 1_000_000  # bytes that an altered file may be longer and still be told by its hash


class _Answer(NamedTuple):
    """What an address answered for a path: `data` if it was whole, else what is wrong; `same` if the file is the one that was right last time."""

    path: str
    data: bytes | None = None
    fault: str = ""
    same: bool = False
    down: bool = False


class PublicWatch:
    """Watches the public address `url` of the target that `target` watches."""

    def __init__(self, url: str, target: TargetWatch, clock: Callable[[], datetime]) -> None:
        self.name, self._target, self._clock = url, target, clock
        config = target.workspace.config.guard
        self._allowed, self._sample = timedelta(seconds=config.stale_seconds), config.sample
        self._election = target.workspace.definition.election.id
        headers = {"Accept-Encoding": "identity", "User-Agent": "terbit-guard"}
        self._pool = with_deadlines(urllib3.PoolManager(maxsize=CONNECTIONS, headers=headers))
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._file = target.workspace.build / "guard" / f"stale-{name}.json"
        self._since = _read_since(self._file)
        self._tags: dict[str, tuple[str, str]] = {}
        # Nobody can know where the round begins.
        self._looks, self._stalled, self._position = 0, 0, secrets.randbelow(1 << 32)
        self._mark = b""
        self._purged: dict[str, datetime] = {}  # until when a path is not purged again

    def sweep(self) -> list[Finding]:
        """One look at the public address."""
        if not self._target.load():
            return []
        expected = self._target.expected
        assert expected is not None
        self._begin(expected)
        first = self._get(TIMESTAMP, expected)
        if first.down:
            return [self._finding(TIMESTAMP, "down", first.fault)]
        paths = [*self._always, *self._next()]
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            answers = [first, *threads.map(lambda path: self._get(path, expected), paths)]
        wrong = [one for one in answers if not one.same and not self._is_right(one, expected)]
        before = dict(self._since)
        for one in answers:
            if one not in wrong:
                self._since.pop(one.path, None)
        # What a publisher is just replacing is judged at the next look.
        with self._target.settled() as settled:
            findings = [self._judge(one, expected) for one in wrong] if settled and wrong else []
        if self._target.heals:
            findings = purged(self._target.workspace, self._target.name, findings, self._is_due, self._clock())
            now = self._clock()
            self._purged |= {one.path: now + self._allowed for one in findings if self._is_due(one)}
        if self._since != before:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            durable.write_file(self._file, msgspec.json.encode(self._since))
        return findings

    def _begin(self, expected: Expected) -> None:
        self._looks, self._stalled = self._looks + 1, 0
        if self._mark == expected.mark:
            return
        self._mark = expected.mark
        shown = [path for path, right in expected.right.items() if right.kind in {"alias", "hint"}]
        top = [path for path in shown if _is_top(path, expected.right[path])]
        rest = [path for path in shown if path not in set(top)]
        self._always, self._rest = top, rest

    def _next(self) -> list[str]:
        """The part of everything else that comes next."""
        start, count = self._position, min(self._sample, len(self._rest))
        self._position += count
        return [self._rest[(start + step) % len(self._rest)] for step in range(count)]

    def _get(self, path: str, expected: Expected) -> _Answer:
        if self._stalled >= STALLS:
            return _Answer(path, fault="not asked for: too many answers did not come in time", down=True)
        with Deadline().running(ALTOGETHER) as deadline:
            answer = self._ask(path, expected)
        if not deadline.expired:
            return answer
        self._stalled += 1
        return _Answer(path, fault=f"no whole answer within {ALTOGETHER:g} s", down=True)

    def _ask(self, path: str, expected: Expected) -> _Answer:
        right = expected.right[path]
        place = path.removeprefix("../") if path.startswith("../") else f"{self._election}/{path}"
        tag, sha256 = self._tags.get(path, ("", ""))
        ask = {"If-None-Match": tag} if tag and sha256 == right.sha256 and self._looks % WHOLE_EVERY else {}
        try:
            answer = self._pool.request(
                "GET",
                self.name + quote(place),
                headers={**self._pool.headers, **ask},
                timeout=TIMEOUT,
                retries=urllib3.Retry(connect=1, read=1, redirect=0, status=0, other=0, raise_on_redirect=False),
                preload_content=False,
            )
            try:
                # A redirection leads a reader where somebody else decides.
                if answer.status == 304 and ask:
                    return _Answer(path, same=True)
                if answer.status >= 500 or answer.status == 429:
                    return _Answer(path, fault=f"HTTP {answer.status}", down=True)
                if answer.status != 200:
                    return _Answer(path, fault=f"HTTP {answer.status}")
                data = answer.read(right.length + SLACK)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            return _Answer(path, fault=f"no answer ({type(error).__name__})", down=True)
        if holds(data, right, self._target.keys) and (etag := answer.headers.get("ETag")):
            self._tags[path] = (etag, right.sha256)
        return _Answer(path, data)

    def _is_right(self, answer: _Answer, expected: Expected) -> bool:
        return answer.data is not None and holds(answer.data, expected.right[answer.path], self._target.keys)

    def _judge(self, answer: _Answer, expected: Expected) -> Finding:
        path, data = answer.path, answer.data
        if answer.down:
            return self._finding(path, "down", answer.fault)
        if data is None:
            return self._finding(
                path, "deleted" if answer.fault in {"HTTP 404", "HTTP 410"} else "altered", answer.fault
            )
        sha256 = hashlib.sha256(data).hexdigest()
        if not self._was_ours(path, data, sha256, expected):
            return self._finding(path, "altered", "it is not what was signed, nor anything that was", sha256)
        now = self._clock()
        until = datetime.fromisoformat(self._since.setdefault(path, now.isoformat())) + self._allowed
        if now <= until:
            return self._finding(
                path, "stale", f"an earlier copy, which a cache may show until {until:%H:%M:%S} UTC", sha256
            )
        return self._finding(
            path,
            "altered",
            f"an earlier copy that should have gone by {until:%H:%M:%S} UTC: purge it, look at that cache",
            sha256,
        )

    def _is_due(self, finding: Finding) -> bool:
        """True if its cache should forget it: not at each look, since a CDN needs its time for that, and may bill it."""
        now = self._clock()
        return finding.what in ALTERED and now >= self._purged.get(finding.path, now)

    def _was_ours(self, path: str, data: bytes, sha256: str, expected: Expected) -> bool:
        right = expected.right[path]
        if path == TIMESTAMP:
            signed = signed_by(data, self._target.keys)
            return signed is not None and signed.kind == "timestamp" and signed.version < expected.timestamp_version
        if path == "latest.json":
            return _is_hint(data, expected.release)
        if right.signature:
            signed_hash = signature_for(data, right.file, self._target.keys)
            return signed_hash is not None and self._target.earlier(right, signed_hash)
        return self._target.earlier(right, sha256)

    def _finding(self, path: str, what: str, detail: str, sha256: str = "") -> Finding:
        return Finding(told_time(self._clock()), self.name, path, what, detail, "", sha256)  # type: ignore[arg-type]


class _Hint(msgspec.Struct, forbid_unknown_fields=True):
    release: int
    released: str
    expires: str
    frozen: dict[str, str] | None = None


def _is_hint(data: bytes, release: int) -> bool:
    """True if a hint says nothing that an earlier one of ours could not have said. Nobody signs it: more cannot be known."""
    try:
        return msgspec.json.decode(data, type=_Hint).release <= release
    except ValueError:
        return False


def _is_top(path: str, right: Right) -> bool:
    """The pages that most people see: the front pages, and each contest's country and provinces."""
    if right.kind == "hint" or (right.role == "site" and path.endswith(".html")):
        return True
    return "-" not in right.role and right.role not in {"site", "trust"} and path.count("/") == 1


def _read_since(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, ValueError):
        return {}
