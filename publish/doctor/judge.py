"""The doctor's judgement: values in, findings out. Pure: no disk, no network, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

import msgspec

from verifier.headers import headers_for

__all__ = [
    "CEREMONY",
    "ORIGIN",
    "UNLIMITED",
    "Finding",
    "Size",
    "answered_at",
    "judge_clock",
    "judge_expiry",
    "judge_headers",
    "judge_host",
    "judge_mode",
    "judge_python",
    "judge_space",
    "judge_tools",
    "judge_waiting",
]

Level = Literal["ok", "warn", "fail"]

CLOCK_WARN_SECONDS, CLOCK_FAIL_SECONDS = 5.0, 60.0
# People who live in different cities have to meet, with their keys.
CEREMONY = timedelta(days=60)
WAITING = timedelta(minutes=15)
ORIGIN = "https://terbit.invalid"  # whose script asks: any site's may read the data
LAST_PYTHON_PATCHES = {(3, 11): date(2027, 10, 31), (3, 12): date(2028, 10, 31), (3, 13): date(2029, 10, 31), (3, 14): date(2030, 10, 31)}  # fmt: skip # PEP 664, 693, 719, 745


class Finding(msgspec.Struct, frozen=True):
    """What was found `where`, and how to mend it in one line ("" where nothing has to be)."""

    level: Level
    where: str
    what: str
    fix: str = ""

    def lines(self) -> list[str]:
        return [f"{self.level:<4}  {self.where}: {self.what}", *([f"      → {self.fix}"] if self.fix else [])]


class Size(NamedTuple):
    """How much a place takes: files, bytes, bytes of the largest file, files of the fullest folder."""

    files: int
    length: int
    largest: int = 0
    in_folder: int = 0


class _Host(NamedTuple):
    """What a host of static sites takes, by the end of its name."""

    suffix: str
    name: str
    most: Size
    source: str


UNLIMITED = 1 << 62
HOSTS = (
    _Host(
        "pages.dev",
        "Cloudflare Pages",
        Size(20_000, UNLIMITED, 25 << 20, UNLIMITED),
        "100,000 on a paid plan; developers.cloudflare.com/pages/platform/limits",
    ),
    _Host(
        "github.io",
        "GitHub Pages",
        Size(UNLIMITED, 1_000_000_000, 100 << 20, UNLIMITED),
        "docs.github.com, GitHub Pages limits",
    ),
    _Host(
        "gitlab.io",
        "GitLab Pages",
        Size(200_000, 1_000_000_000, UNLIMITED, UNLIMITED),
        "docs.gitlab.com, GitLab.com settings",
    ),
    _Host(
        "netlify.app",
        "Netlify",
        Size(UNLIMITED, UNLIMITED, UNLIMITED, 54_000),
        "docs.netlify.com, Files per directory limit",
    ),
)


def answered_at(headers: Mapping[str, str]) -> datetime | None:
    """By the clock there, when an answer came, from a cache or not (`headers` in lower case: RFC 9110, 6.6.1; RFC 9111, 5.1); None if it does not say."""
    try:
        told = parsedate_to_datetime(headers["date"]) + timedelta(seconds=int(headers.get("age", "0")))
    except (KeyError, ValueError, OverflowError):
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def judge_clock(where: str, seconds: float) -> Finding:
    """`seconds`: how far our clock is ahead of the one at `where`, whose answers have whole seconds."""
    off = max(0.0, abs(seconds) - 1.0)
    level: Level = "fail" if off > CLOCK_FAIL_SECONDS else "warn" if off > CLOCK_WARN_SECONDS else "ok"
    if level == "ok":
        return Finding("ok", where, "its clock and ours agree")
    way = "ahead of" if seconds > 0 else "behind"
    return Finding(
        level,
        where,
        f"our clock is {abs(seconds):.0f} s {way} the one there: clients may refuse what we sign",
        "set the clock by NTP: timedatectl set-ntp true",
    )


def judge_expiry(where: str, role: str, expires: datetime, now: datetime, ahead: timedelta, fix: str) -> Finding:
    """Metadata that ends at `expires`; told `ahead` of it."""
    left = expires - now
    when = f"{expires:%Y-%m-%d %H:%M} UTC"
    if left <= timedelta():
        return Finding("fail", where, f"{role} has ended at {when}: clients call the site stale", fix)
    if left <= ahead:
        return Finding("warn", where, f"{role} ends at {when}, in {_span(left)}", fix)
    return Finding("ok", where, f"{role} is good until {when}")


def judge_headers(url: str, path: str, found: Mapping[str, str]) -> list[Finding]:
    """The headers of the file at `path` (from the public root on) as the public gets them at `url`, names in lower case."""
    missing, other = [], []
    findings = []
    for name, wanted in headers_for(path).items():
        there = found.get(name.lower())
        if name == "Strict-Transport-Security" and (not url.startswith("https:") or there):
            continue
        if name == "Access-Control-Allow-Origin" and there == ORIGIN:
            continue
        if there is not None and _plain(there) == _plain(wanted):
            continue
        if name == "Content-Type":
            what = f"its Content-Type is {there}, not {wanted}: browsers show it wrongly or not at all"
            findings.append(Finding("fail", url, what, "let the host send the type that verifier/headers.py defines"))
        elif there is None:
            missing.append(name)
        else:
            other.append(f"{name} ({there})")
    fix = "let the CDN or web server add what docs/operations.md, Serving, shows"
    if missing:
        findings.append(Finding("warn", url, f"without {', '.join(missing)}", fix))
    if other:
        findings.append(Finding("warn", url, f"otherwise than it should be: {', '.join(other)}", fix))
    return findings or [Finding("ok", url, "all headers are as they should be")]


def judge_host(url: str, host: str, size: Size) -> list[Finding]:
    """The site against what a known host of static sites takes; nothing for any other host."""
    for known in HOSTS:
        if host == known.suffix or host.endswith(f".{known.suffix}"):
            most = known.most
            too_much = [
                f"{have:,} {what} where {known.name} takes {limit:,}"
                for have, limit, what in (
                    (size.files, most.files, "files"),
                    (size.length, most.length, "bytes"),
                    (size.largest, most.largest, "bytes in one file"),
                    (size.in_folder, most.in_folder, "files in one folder"),
                )
                if have > limit
            ]
            if not too_much:
                return [Finding("ok", url, f"{size.files:,} files, {size.length:,} bytes: {known.name} takes them")]
            fix = f"publish into object storage, or ask the host ({known.source})"
            return [Finding("fail", url, "; ".join(too_much), fix)]
    return []


def judge_mode(where: str, mode: int, *, secret: bool) -> Finding:
    """The permissions of a folder of the workspace; `secret`: nobody else may even read it."""
    forbidden = 0o077 if secret else 0o022
    if mode & forbidden:
        may = "look into it" if not mode & 0o022 else "write there"
        return Finding(
            "fail", where, f"others on this machine may {may}", f"chmod {'700' if secret else 'go-w'} {where}"
        )
    return Finding("ok", where, "only its owner may " + ("look into it" if secret else "write there"))


def judge_space(where: str, have: Size, need: Size) -> Finding:
    """Free files (inodes) and bytes of a disk, and those that a full release would take."""
    for free, wanted, what in ((have.length, need.length, "bytes"), (have.files, need.files, "files")):
        if free < 2 * wanted:
            level: Level = "fail" if free < wanted else "warn"
            return Finding(
                level,
                where,
                f"{free:,} {what} are free, and a full release takes {wanted:,}",
                "free some of the disk, or take a larger one",
            )
    return Finding("ok", where, f"{have.length / 1e9:,.1f} GB free; a full release takes {need.length / 1e9:,.3f} GB")


def judge_waiting(where: str, times: Sequence[datetime], now: datetime) -> Finding:
    """Packages that wait in the inbox, since when."""
    if not times:
        return Finding("ok", where, "nothing waits")
    longest = now - min(times)
    what = f"{len(times)} packages wait, for {_span(longest)} at most"
    if longest > WAITING:
        return Finding("warn", where, what, "look whether terbit publish runs, and what it says")
    return Finding("ok", where, f"{what}; the next run takes them")


def judge_python(version: tuple[int, int], today: date) -> Finding:
    """The Python that runs this: does it still get security fixes?"""
    where = f"Python {version[0]}.{version[1]}"
    ends = LAST_PYTHON_PATCHES.get(version)
    if ends is None or today + CEREMONY < ends:
        return Finding("ok", where, f"gets security fixes until {ends}" if ends else "is newer than this Terbit")
    what = "gets no security fixes any more" if today > ends else f"gets security fixes until {ends} only"
    return Finding("warn", where, what, "install a newer Python, and Terbit into it")


def judge_tools(found: Iterable[tuple[str, str | None, str]]) -> list[Finding]:
    """Installed libraries, as (name, version or None, oldest version that will do)."""
    fix = "pip install --upgrade terbit"
    return [
        Finding("fail", name, f"{version or 'nothing'} is installed, and {oldest} is the oldest that will do", fix)
        for name, version, oldest in found
        if version is None or _numbers(version) < _numbers(oldest)
    ]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _plain(value: str) -> str:
    return "".join(value.lower().split())


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} days"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
