"""What a mirror tells Prometheus, through node_exporter's textfile collector."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from verifier.errors import VerifierError
from verifier.mirror.folder import Complete

__all__ = ["write_textfile"]


def write_textfile(
    file: Path, now: datetime, complete: Complete | None, signed: int | None, failures: Mapping[str, int]
) -> None:
    """Replace `file` as a whole. `signed`: when the served timestamp was signed (Unix seconds); `failures`: by upstream."""
    lines: list[str] = []

    def gauge(name: str, help_text: str, value: float) -> None:
        lines.extend(
            (
                f"# HELP terbit_mirror_{name} {help_text}",
                f"# TYPE terbit_mirror_{name} gauge",
                f"terbit_mirror_{name} {value}",
            )
        )

    if complete is not None:
        gauge("release", "Release that is served.", complete.release)
        gauge("files", "Files of that release.", complete.files)
        gauge("bytes", "Bytes of those files.", complete.bytes)
        gauge("expires_seconds", "Unix time until which it is signed as current.", complete.expires)
        gauge("last_success_seconds", "Unix time of the last run that ended well.", complete.time)
    if signed is not None:
        gauge("timestamp_age_seconds", "Age of the served timestamp.json.", round(now.timestamp()) - signed)
    lines += [
        "# HELP terbit_mirror_upstream_failures_total Files that an upstream could not give, or gave wrong.",
        "# TYPE terbit_mirror_upstream_failures_total counter",
    ]
    lines += [
        f'terbit_mirror_upstream_failures_total{{upstream="{_escaped(place)}"}} {count}'
        for place, count in failures.items()
    ]
    temporary = file.with_name(f".{file.name}.new")
    try:
        temporary.write_text("\n".join([*lines, ""]), encoding="utf-8")
        os.replace(temporary, file)
    except OSError as error:
        raise VerifierError(f"{file} cannot be written: {error.strerror}") from None


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
