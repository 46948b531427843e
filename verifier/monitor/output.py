"""What a monitor saw: lines for people, JSON, figures for Prometheus, and the mirrors' score page."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from verifier.formats.encoding import encode_base64
from verifier.monitor.heads import Head
from verifier.monitor.look import Kind, Look
from verifier.monitor.run import Report
from verifier.prometheus import Metric, text_format
from verifier.reports import both, document

__all__ = ["as_json", "html_page", "lines", "prometheus"]

KINDS: tuple[Kind, ...] = ("altered", "stale", "unreachable")
SHOWN = 10
STATUS = {
    "altered": ("DIUBAH", "ALTERED", "bad"),
    "stale": ("tertinggal", "behind", "old"),
    "unreachable": ("tidak terjangkau", "unreachable", "old"),
    "": ("baik", "good", "good"),
}
HEADS = (
    ("Tempat", "Place"),
    ("Status", "Status"),
    ("Rilis", "Release"),
    ("Tertinggal", "Behind"),
    ("Berlaku sampai (UTC)", "Valid until (UTC)"),
    ("Berkas diperiksa", "Files checked"),
    ("Catatan", "Notes"),
)


def _worst(one: Look) -> str:
    """The worst kind of problem of a place; empty for none."""
    kinds = {problem.kind for problem in one.problems}
    return next((kind for kind in KINDS if kind in kinds), "")


def _time(moment: datetime | None) -> str:
    return "–" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def lines(report: Report) -> Iterator[str]:
    """The report for people; not yet printable, since what strangers sent is in it."""
    for each in report.contradictions:
        yield f"{each.what} ({', '.join(each.first.places)} against {', '.join(each.second.places)})"
    for one in report.looks:
        yield f"{(_worst(one) or 'ok').upper()} {one.place}: {_state(report, one)}"
        yield from (f"  {problem.kind}: {problem.what}" for problem in one.problems[:SHOWN])
        if len(one.problems) > SHOWN:
            yield f"  {len(one.problems) - SHOWN} more: --json has all of them"


def _state(report: Report, one: Look) -> str:
    lag = report.lag(one)
    if lag is None:
        return "no release seen"
    behind = f"{lag[0]} seconds and {lag[1]} releases behind" if any(lag) else "the newest"
    return f"release {one.release} ({behind}), valid until {_time(one.expires)} UTC, {_checked(one)}"


def _checked(one: Look) -> str:
    """How many files were checked, and that it is a sample where it is one: an altered file may be among the others."""
    if one.listed is None or (one.files >= one.listed and not one.unread):
        return f"{one.files} files checked"
    of = f"{'at least ' if one.unread else ''}{one.listed}"
    return f"{one.files} of {of} files checked, picked anew each time; all: --all"


def as_json(report: Report, evidence: Sequence[Path]) -> dict[str, object]:
    """The whole report."""

    def place(one: Look) -> dict[str, object]:
        lag = report.lag(one)
        return {
            "place": one.place,
            "status": _worst(one) or "ok",
            "release": one.release,
            "signed": one.signed,
            "expires": f"{one.expires:%Y-%m-%dT%H:%M:%SZ}" if one.expires else None,
            "lag_seconds": lag[0] if lag else None,
            "lag_releases": lag[1] if lag else None,
            "files": one.files,
            "listed": one.listed,
            "problems": [{"kind": problem.kind, "what": problem.what} for problem in one.problems],
            "checkpoints": sorted({signed.checkpoint.size for signed in one.heads}),
        }

    def head(one: Head) -> dict[str, object]:
        return {
            "origin": one.checkpoint.origin,
            "size": one.checkpoint.size,
            "root": encode_base64(one.checkpoint.root),
            "places": list(one.places),
        }

    return {
        "time": f"{report.time:%Y-%m-%dT%H:%M:%SZ}",
        "exit": report.exit_code,
        "release": report.release,
        "signed": report.signed,
        "places": [place(one) for one in report.looks],
        "contradictions": [
            {"what": each.what, "certain": each.certain, "checkpoints": [head(each.first), head(each.second)]}
            for each in report.contradictions
        ],
        "evidence": [str(file) for file in evidence],
    }


def prometheus(report: Report) -> str:
    """A textfile for node_exporter."""
    seen = [(one, lag) for one in report.looks if (lag := report.lag(one)) is not None]
    counts = {one.place: Counter(problem.kind for problem in one.problems) for one in report.looks}
    return text_format(
        (
            Metric(
                "terbit_monitor_good",
                "1 where nothing is wrong at the place.",
                [({"place": one.place}, int(not one.problems)) for one in report.looks],
            ),
            Metric(
                "terbit_monitor_problems",
                "What is wrong at the place, by kind.",
                [({"place": place, "kind": kind}, count[kind]) for place, count in counts.items() for kind in KINDS],
            ),
            Metric(
                "terbit_monitor_release",
                "Release that the place shows.",
                [({"place": one.place}, one.release or 0) for one, _ in seen],
            ),
            Metric(
                "terbit_monitor_lag_seconds",
                "Between the newest timestamp's signing and this one's.",
                [({"place": one.place}, lag[0]) for one, lag in seen],
            ),
            Metric(
                "terbit_monitor_lag_releases",
                "Releases behind the newest.",
                [({"place": one.place}, lag[1]) for one, lag in seen],
            ),
            Metric(
                "terbit_monitor_expires_seconds",
                "Unix time until which it is signed as current.",
                [({"place": one.place}, one.expires.timestamp()) for one, _ in seen if one.expires],
            ),
            Metric(
                "terbit_monitor_contradictions",
                "Pairs of the log's checkpoints that are not one log.",
                [({}, len(report.contradictions))],
            ),
            Metric("terbit_monitor_last_look_seconds", "Unix time of this look.", [({}, report.time.timestamp())]),
        )
    )


def html_page(report: Report, evidence: Sequence[Path]) -> str:
    """The mirrors' score page."""
    heads = "".join(f'<th scope="col">{both(*head)}' for head in HEADS)
    title = "Situs dan cerminnya"
    body = [
        f"<h1>{both(title, 'The site and its mirrors')}</h1>\n",
        f"<p>{both('Dilihat', 'Seen')}: {_time(report.time)} UTC. ",
        f"{both('Rilis terbaru', 'Newest release')}: {report.release if report.release is not None else '–'}.\n",
    ]
    if report.contradictions:
        title_of = both("Log yang bertentangan", "Contradictions of the log")
        body.append(f'<section class="bad"><h2>{title_of}</h2>\n<ul>\n')
        for each in report.contradictions:
            body.append(f"<li>{escape(each.what)}<br>\n")
            body += [f"<small>{_head(head)}</small><br>\n" for head in (each.first, each.second)]
        body.append(
            f"</ul>\n<p>{both('Bukti', 'Evidence')}: {escape(', '.join(file.name for file in evidence))}\n</section>\n"
        )
    body.append(f'<div class="scroll"><table>\n<thead><tr>{heads}</thead>\n<tbody>\n')
    body += [_row(report, one) for one in report.looks]
    body.append("</tbody></table></div>\n")
    return document(title, "".join(body))


def _head(head: Head) -> str:
    one = head.checkpoint
    return escape(f"{', '.join(head.places)}: {one.origin}, {one.size}, {encode_base64(one.root)}")


def _row(report: Report, one: Look) -> str:
    indonesian, english, style = STATUS[_worst(one)]
    lag = report.lag(one)
    behind = "–"
    if lag is not None:
        behind = both(f"{lag[0]} detik; rilis: {lag[1]}", f"{lag[0]} seconds; releases: {lag[1]}")
    place = escape(one.place)
    if one.place.startswith(("https://", "http://")):
        place = f'<a href="{place}/index.html">{place}</a>'
    notes = [escape(problem.what) for problem in one.problems[:SHOWN]]
    if len(one.problems) > SHOWN:
        more = len(one.problems) - SHOWN
        notes.append(both(f"dan {more} lainnya", f"and {more} more"))
    return (
        f'<tr><th scope="row">{place}<td class="{style}">{both(indonesian, english)}'
        f'<td class="n">{one.release if one.release is not None else "–"}<td>{behind}<td>{_time(one.expires)}'
        f'<td class="n">{one.files}<td>{"<br>".join(notes)}\n'
    )
