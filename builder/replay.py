"""Packages that some ledger has accepted, judged again: by a second signer before he follows, by an auditor before he believes.

What intake decided is not taken over: every rule is asked again, in the ledger's order.
"""

from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from builder.election import Definition
from builder.intake import Verdict, judge
from builder.recap import Package
from builder.rows import Rows

__all__ = ["replay"]

# As much at once as columns need to pay, and a small machine can hold.
BATCH_BYTES = 12_000_000


def replay(
    packages: Iterable[Package], rows: dict[str, Rows], definition: Definition, known: int
) -> Iterator[list[Verdict]]:
    """Judge `packages`, those of a ledger after its first `known`, folding into `rows` what is accepted, under the ledger's numbers.

    The verdicts come in batches; one that is broken leaves its package out.
    """
    for batch in _batches(packages):
        verdicts = judge(batch, rows, definition, known)
        counted = [verdict.package.name for verdict in verdicts if not verdict.broken]
        places = {package.name: number for number, package in enumerate(batch, known + 1)}
        numbers = {number: places[name] for number, name in enumerate(counted, known + 1)}
        # Judging takes contest by contest; a ledger may have them in another order.
        if any(old != new for old, new in numbers.items()):
            _renumber(rows, numbers)
        known += len(batch)
        yield verdicts


def _batches(packages: Iterable[Package]) -> Iterator[Sequence[Package]]:
    batch: list[Package] = []
    size = 0
    for package in packages:
        batch.append(package)
        size += len(package.rows)
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _renumber(rows: dict[str, Rows], numbers: dict[int, int]) -> None:
    new = pl.col("package").replace(numbers)
    for one in rows.values():
        one.current, one.replaced = one.current.with_columns(new), one.replaced.with_columns(new)
