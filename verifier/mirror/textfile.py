"""What a mirror tells Prometheus, through node_exporter's textfile collector."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from verifier.mirror.folder import Complete
from verifier.prometheus import Metric, text_format
from verifier.reports import write_whole

__all__ = ["write_textfile"]


def write_textfile(
    file: Path, now: datetime, complete: Complete | None, signed: int | None, failures: Mapping[str, int]
) -> None:
    """Replace `file` as a whole. `signed`: when the served timestamp was signed (Unix seconds); `failures`: by upstream."""
    figures: list[tuple[str, str, float]] = []
    if complete is not None:
        figures += [
            ("release", "Release that is served.", complete.release),
            ("files", "Files of that release.", complete.files),
            ("bytes", "Bytes of those files.", complete.bytes),
            ("expires_seconds", "Unix time until which it is signed as current.", complete.expires),
            ("last_success_seconds", "Unix time of the last run that ended well.", complete.time),
        ]
    if signed is not None:
        age = round(now.timestamp()) - signed
        figures.append(("timestamp_age_seconds", "Age of the served timestamp.json.", age))
    metrics = [Metric(f"terbit_mirror_{name}", help_text, [({}, value)]) for name, help_text, value in figures]
    metrics.append(
        Metric(
            "terbit_mirror_upstream_failures_total",
            "Files that an upstream could not give, or gave wrong.",
            [({"upstream": place}, count) for place, count in failures.items()],
            "counter",
        )
    )
    write_whole(file, text_format(metrics))
