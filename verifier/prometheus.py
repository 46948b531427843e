"""Figures for Prometheus, in its text format, for node_exporter's textfile collector."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = ["Metric", "text_format"]


class Metric(NamedTuple):
    """A metric: its whole `name`, what it tells, its samples as labels and value; `kind` is gauge or counter."""

    name: str
    help_text: str
    samples: Iterable[tuple[Mapping[str, str], float]]
    kind: str = "gauge"


def text_format(metrics: Iterable[Metric]) -> str:
    """All of them, in Prometheus's exposition format 0.0.4."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help_text}", f"# TYPE {metric.name} {metric.kind}"]
        for labels, value in metric.samples:
            written = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            lines.append(f"{metric.name}{{{written}}} {value}" if written else f"{metric.name} {value}")
    return "\n".join([*lines, ""])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
