"""What an audit found, as one page, as JSON and as lines."""

from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from verifier.errors import VerificationError, VerifierError
from verifier.reports import both, document
from verifier.withheld import Withheld

__all__ = ["Change", "Release", "Report", "as_json", "html_page", "lines"]

SHOWN = 200
AS_FAR = ", as far as it can be said"
VERDICTS = {"same": "made again, the same", "differs": "DIFFERS", "unknown": "cannot be said"}


@dataclass(frozen=True)
class Change:
    """A file that was published otherwise than the inputs say. SHA-256 of the published bytes and of those that follow from the inputs, empty for none."""

    path: str
    what: str
    published: str = ""
    rebuilt: str = ""
    where: str = ""
    release: int | None = None  # None: the newest one


@dataclass(frozen=True)
class Release:
    """A logged release: which inputs it has others than the one before, and whether its snapshot is still kept. `verdict` is that of making it again: `same`,
    `differs`, `unknown`, or nothing if it was not asked for; `why` says more."""

    release: int
    time: str
    changed: tuple[str, ...]
    kept: bool
    verdict: str = ""
    why: str = ""


@dataclass
class Report:
    """The audit of one release and of all before it. `changes` and `problems` must be empty; refusals, redactions and other compression are told and fail nothing."""

    place: str
    election: str
    release: int
    time: str
    log: str
    entries: int
    pending: int
    witnesses: tuple[str, ...]
    builder: str
    inputs: dict[str, str] = field(default_factory=dict)
    packages: int = 0
    rows: int = 0
    official: int = 0
    operator: int = 0
    refused: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    redacted: list[tuple[str, str]] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    files: int = 0
    changes: list[Change] = field(default_factory=list)
    recompressed: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def differs(self) -> bool:
        """True if something was published that does not follow from the inputs, or an input is not what was logged."""
        return bool(self.changes or self.problems)

    @property
    def rebuilt(self) -> bool:
        """False if the site could not be made again, so that nobody compared anything with it."""
        return bool(self.files or self.changes)

    @property
    def exit_code(self) -> int:
        unknown = any(one.verdict == "unknown" for one in self.releases)
        return VerificationError.exit_code if self.differs else VerifierError.exit_code if unknown else 0


def as_json(report: Report) -> dict[str, Any]:
    return {"format": "terbit-audit-1", "verified": report.exit_code == 0, **asdict(report)}


def lines(report: Report) -> list[str]:
    """The report for a terminal: what is wrong first."""
    told = [f"PROBLEM {problem}" for problem in report.problems[:SHOWN]]
    told += [f"CHANGED {_told(change)}" for change in report.changes[:SHOWN]]
    told += [f"RECOMPRESSED {_told(change)}" for change in report.recompressed[:SHOWN]]
    if (more := max(0, len(report.changes) - SHOWN) + max(0, len(report.problems) - SHOWN)) > 0:
        told.append(f"and {more} more: --json has all")
    told += [f"WITHHELD {path}: by the order {order}, which is logged" for path, order in report.withheld[:SHOWN]]
    if report.recompressed[SHOWN:]:
        told.append(f"and {len(report.recompressed) - SHOWN} more that are compressed otherwise")
    seen = f", seen by {', '.join(report.witnesses)}" if report.witnesses else ", seen by no witness"
    told += [
        f"{report.place}: release {report.release} of {report.time}, {report.entries} entries of the log {report.log}{seen}",
        f"Inputs: {report.packages} packages with {report.rows} rows, {report.official} signed by officials, {report.operator} attested by the operator; "
        f"{len(report.refused)} refused, {len(report.redacted)} files withheld",
        f"Releases: {len(report.releases)}; still kept: {sum(one.kept for one in report.releases)}",
        *_compared(report),
        *(f"Release {_release(one)}" for one in report.releases if one.verdict),
        "NOT what follows from the logged inputs"
        if report.differs
        else "Everything published follows from the logged inputs" + (AS_FAR if report.exit_code else ""),
    ]
    return told


def _compared(report: Report) -> list[str]:
    if not report.rebuilt:
        return [
            "Not rebuilt, because of the problems above: changes without input were not looked for, nor earlier releases made again"
        ]
    same = f"; same content, compressed otherwise: {len(report.recompressed)}" if report.recompressed else ""
    return [
        f"Rebuilt: {report.files} files in {report.seconds:.1f} s",
        f"Changes without input: {len(report.changes) or 'none'}{same}",
    ]


def _told(change: Change) -> str:
    hashes = [
        f"{name} {value}" for name, value in (("published", change.published), ("rebuilt", change.rebuilt)) if value
    ]
    shown = f" ({', '.join(hashes)})" if hashes else ""
    of = f"in release {change.release}, " if change.release else ""
    return f"{of}{change.path}: {change.what}{shown}" + (f"; {change.where}" if change.where else "")


def html_page(report: Report) -> str:
    """The report on one page, Indonesian first, English beside it."""
    state = "bad" if report.differs else "old" if report.exit_code else "good"
    verdict = (
        both("TIDAK sesuai dengan masukan yang tercatat", "NOT what follows from the logged inputs")
        if report.differs
        else both(
            f"Semua yang diterbitkan mengikuti masukan yang tercatat{', sejauh dapat diperiksa' if report.exit_code else ''}",
            f"Everything published follows from the logged inputs{AS_FAR if report.exit_code else ''}",
        )
    )
    facts = [
        (("Rilis", "Release"), f"{report.release}, {report.time}"),
        (("Log", "Log"), f"{report.log}, {report.entries} + {report.pending}"),
        (("Saksi", "Witnesses"), ", ".join(report.witnesses) or "–"),
        (("Paket", "Packages"), f"{report.packages} ({report.rows} rows)"),
        (("Ditandatangani pejabat", "Signed by officials"), report.official),
        (("Dinyatakan operator", "Attested by the operator"), report.operator),
        (("Paket ditolak", "Refused packages"), len(report.refused)),
        (("Berkas ditahan", "Files withheld"), len(report.redacted)),
        (("Berkas dibangun ulang", "Files rebuilt"), report.files),
        (("Perubahan tanpa masukan", "Changes without input"), len(report.changes) if report.rebuilt else "?"),
        (("Isi sama, kompresi lain", "Same content, other compression"), len(report.recompressed)),
        (("Masalah", "Findings"), len(report.problems)),
        (("Waktu", "Time"), f"{report.seconds:.1f} s"),
        (("Program", "Program"), f"terbit {report.builder}"),
        *((("Masukan", "Input"), f"{name} {value}") for name, value in report.inputs.items()),
    ]
    body = [
        f"<h1>{both('Audit', 'Audit')}: {escape(report.election)}</h1>\n<p>{escape(report.place)}\n",
        f'<p class="{state}"><strong>{verdict}</strong>\n<table>\n',
        *(f'<tr><th scope="row">{both(*name)}<td class="long">{escape(str(value))}\n' for name, value in facts),
        "</table>\n",
        _list("Perubahan tanpa masukan", "Changes without input", [_told(change) for change in report.changes], "bad"),
        _list("Masalah", "Findings", report.problems, "bad"),
        _list(
            "Paket ditolak", "Refused packages", [f"{name}: {', '.join(rules)}" for name, rules in report.refused], ""
        ),
        _list(
            "Ditahan menurut perintah",
            "Withheld by order",
            [f"{path}: {order}" for path, order in report.withheld],
            "old",
        ),
        _list(
            "Isi sama, kompresi lain",
            "Same content, other compression",
            [_told(one) for one in report.recompressed],
            "old",
        ),
        _list("Rilis", "Releases", [_release(one) for one in reversed(report.releases)], ""),
    ]
    return document(f"Audit: {report.election}", "".join(body))


def _release(one: Release) -> str:
    kept = "" if one.kept else " (snapshot no longer kept)"
    verdict = f"; {VERDICTS[one.verdict]}" if one.verdict else ""
    return f"{one.release}, {one.time}: {', '.join(one.changed) or 'renewed'}{kept}{verdict}{f': {one.why}' if one.why else ''}"


def _list(indonesian: str, english: str, items: list[str], style: str) -> str:
    if not items:
        return ""
    told = [f'<li class="{style}">{escape(item)}\n' for item in items[:SHOWN]]
    if len(items) > SHOWN:
        told.append(f"<li>+ {len(items) - SHOWN}\n")
    return f"<h2>{both(indonesian, english)}</h2>\n<ul>\n{''.join(told)}</ul>\n"
