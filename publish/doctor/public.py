"""The doctor at a public address: does it show our timestamp, with the headers that the pages need?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

import urllib3

from publish.doctor.here import size_of
from publish.doctor.judge import ORIGIN, Finding, answered_at, judge_clock, judge_headers, judge_host
from publish.guard.expected import Expected
from publish.signing.ours import signed_by
from publish.targets import TIMESTAMP
from verifier.deadline import Deadline, with_deadlines
from verifier.formats.minisign import PublicKey

__all__ = ["examine", "judge_shown"]

TIMEOUT = urllib3.Timeout(connect=5, read=10)
ALTOGETHER = 60.0  # seconds for one file
LONGEST = 64_000_000


def examine(
    url: str, election: str, expected: Expected, keys: Sequence[PublicKey], clock: Callable[[], datetime]
) -> Iterator[Finding]:
    """All checks of the public address `url` (ends with `/`) of a target where `expected` belongs."""
    host = urlsplit(url).hostname or ""
    yield from judge_host(url, host, size_of(expected))
    if not url.startswith("https:") and host not in {"127.0.0.1", "localhost", "::1"}:
        yield Finding(
            "warn", url, "without TLS anybody on the way changes what readers see", "serve it with https, and HSTS"
        )
    pool = with_deadlines(
        urllib3.PoolManager(
            headers={"Accept-Encoding": "identity", "User-Agent": "terbit-doctor", "Origin": ORIGIN},
            retries=urllib3.Retry(total=1, redirect=0, raise_on_redirect=False),
            timeout=TIMEOUT,
        )
    )
    for path in _sample(expected):
        place = path.removeprefix("../") if path.startswith("../") else f"{election}/{path}"
        try:
            with Deadline().running(ALTOGETHER) as deadline:
                answer = pool.request("GET", url + quote(place), preload_content=False)
                data = answer.read(LONGEST)
                answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            yield Finding(
                "fail", url + place, f"no answer ({type(error).__name__})", "look at DNS, the CDN and its origin"
            )
            return
        if deadline.expired:  # without a length in its header, a cut answer looks like a whole one
            what = f"no whole answer within {ALTOGETHER:g} seconds"
            yield Finding("fail", url + place, what, "look at the line, the CDN and its origin")
            return
        if answer.status != 200:
            fix = "let the CDN read the target, and lead nowhere else; then terbit guard --once"
            yield Finding("fail", url + place, f"HTTP {answer.status}", fix)
            continue
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if path == TIMESTAMP:
            yield judge_shown(url + place, data, expected, keys)
            if (told := answered_at(headers)) is not None:
                yield judge_clock(url, (clock() - told).total_seconds())
        yield from judge_headers(url + place, place, headers)


def _sample(expected: Expected) -> list[str]:
    """One file of each kind, the timestamp first."""
    kinds = {
        f"{right.kind} {path.rpartition('.')[2]}": path for path, right in sorted(expected.right.items(), reverse=True)
    }
    kept = (
        "alias html",
        "alias json",
        "alias minisig",
        "alias css",
        "alias js",
        "object json",
        "metadata json",
        "package csv",
    )
    found = [kinds[kind] for kind in kept if kind in kinds]
    return [TIMESTAMP, "latest.json", *(path for path in ("../index.html",) if path in expected.right), *found]


def judge_shown(where: str, data: bytes, expected: Expected, keys: Sequence[PublicKey]) -> Finding:
    """The timestamp that a place shows, against our last one."""
    if data == expected.data[TIMESTAMP]:
        return Finding("ok", where, f"it shows release {expected.release}, with our last timestamp")
    signed = signed_by(data, keys)
    if signed is None or signed.kind != "timestamp":
        return Finding("fail", where, "it shows a timestamp that we have not signed", "terbit guard --once tells more")
    if signed.version > expected.timestamp_version:
        fix = "stop the other publisher, or learn from the target what it holds: terbit reconcile"
        return Finding("fail", where, "it shows a younger timestamp than our last one", fix)
    age = timedelta(seconds=expected.timestamp_version - signed.version)
    what = f"it shows a timestamp that is {age} older than our last one"
    fix = "terbit publish; purge it at the CDN, which may keep timestamp.json for 10 s at most"
    return Finding("warn", where, what, fix)
