"""The report on a whole site, of `site` and of `mirror verify`: for people, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from verifier.cli.common import in_words
from verifier.printable import counted, say

if TYPE_CHECKING:
    from verifier.log import LogReport
    from verifier.site import SiteReport

__all__ = ["log_as_json", "report_as_json", "write_report"]

UNLISTED_SHOWN = 20


def log_as_json(report: LogReport | None) -> dict[str, object] | None:
    if report is None:
        return None
    return {
        "origin": report.origin,
        "size": report.size,
        "index": report.index,
        "witnesses": dict(report.witnesses),
        "required": report.policy.quorum is not None,
    }


def report_as_json(report: SiteReport) -> dict[str, object]:
    return {
        "verified": not report.failures,
        "release": report.release,
        "expires": report.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "roles": report.roles,
        "files": report.files,
        "bytes": report.length,
        "signatures": report.signatures,
        "packages": report.packages,
        "failures": [
            {"path": failure.path, "what": failure.what, "expected": failure.expected, "got": failure.got}
            for failure in report.failures
        ],
        "unlisted": list(report.unlisted),
        "withheld": [{"path": path, "order": order} for path, order in report.withheld],
        "log": log_as_json(report.log),
    }


def write_report(place: str, report: SiteReport, *, aliases: bool, signatures: bool, around: bool) -> None:
    for path in report.unlisted[:UNLISTED_SHOWN]:
        say(f"UNSIGNED {path}: no signed list names it, nobody vouches for it")
    if len(report.unlisted) > UNLISTED_SHOWN:
        say(f"UNSIGNED {counted(len(report.unlisted) - UNLISTED_SHOWN, 'more file')}: --json names them")
    for path, order in report.withheld:
        say(f"WITHHELD {path}: by the order {order}, which is logged")
    for failure in report.failures:
        compared = f": expected {failure.expected}, got {failure.got}" if failure.expected else ""
        say(f"FAILED {failure.path}: {failure.what}{compared}")
    say(f"{place}: release {report.release}, signed as current until {in_words(report.expires)}")
    checked = [
        counted(report.roles, "signed list"),
        counted(report.packages, "recap package"),
        f"{counted(report.files, 'file')} ({report.length:,} bytes)",
    ]
    left_out: list[str] = []
    (checked if aliases else left_out).append("their copies at the paths that browsers use")
    (checked if signatures else left_out).append(
        counted(report.signatures, "minisign signature") if signatures else "minisign signatures"
    )
    (checked if around else left_out).append("the domain's own front page")
    click.echo(f"Checked: {', '.join(checked)}")
    unsigned = "latest.json and files that no list names, which nobody signs"
    click.echo(f"Not checked: {', '.join([*left_out, unsigned])}")
    click.echo(f"Log: {report.log.told}" if report.log else "Log: none checked")
    failures = counted(len(report.failures), "failure") if report.failures else ""
    click.echo(f"NOT what was published: {failures}" if failures else "Everything checked is what was published")
