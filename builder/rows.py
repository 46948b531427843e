"""The current row of every key and the rows that it replaced, folded from the ledger's packages.

A contest's rows are one frame with the columns `area` (row in `Areas`), `station` (text, "" in series recap), `recap` (series),
`revision`, `withdrawn`, `package` (number in the ledger, from 1) and the contest's figures (null is absent).
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from builder import __version__, durable
from builder.election import Contest, Definition
from builder.errors import DefinitionError, PackageError
from builder.ledger import Ledger
from builder.recap import Package, parse_rows, row_columns
from builder.tables import read_strict

__all__ = ["KEY", "Rows", "load_rows", "package_text", "save_rows", "typed_rows", "votes_given"]

KEY = ("recap", "area", "station")


class Rows:
    """Rows of one contest: `current` has one row a key, `replaced` the revisions before it."""

    def __init__(
        self, contest: Contest, current: pl.DataFrame | None = None, replaced: pl.DataFrame | None = None
    ) -> None:
        self.contest = contest
        empty = pl.DataFrame(schema=row_schema(contest))
        self.current = empty if current is None else current
        self.replaced = empty if replaced is None else replaced

    def add(self, rows: pl.DataFrame) -> None:
        """Fold accepted rows, in the ledger's order, into the current ones."""
        touched = (
            self.current.join(rows.select(KEY).unique(), on=KEY, how="semi") if self.current.height else self.current
        )
        if touched.height == 0 and not rows.select(pl.struct(KEY).is_duplicated().any()).item():
            self.current = pl.concat([self.current, rows]) if self.current.height else rows
            return
        history = pl.concat([touched, rows]).sort([*KEY, "revision"])
        # A withdrawn row shows the figures that it withdraws: those of the last revision that had any.
        own = ~pl.col("withdrawn") | pl.struct(KEY).is_first_distinct()
        source = history.select(pl.when(own).then(pl.int_range(pl.len())).forward_fill()).to_series()
        history = history.with_columns(history[name].gather(source) for name in self.contest.figures)
        last = history.select(pl.col("revision") == pl.col("revision").max().over(KEY)).to_series()
        untouched = self.current.join(rows.select(KEY), on=KEY, how="anti")
        self.current = pl.concat([untouched, history.filter(last)])
        self.replaced = pl.concat([self.replaced, history.filter(~last)])


def votes_given(contest: Contest) -> pl.Expr:
    """True where a row has every candidate's votes: with a part of them missing there is no result to add."""
    return pl.all_horizontal(pl.col(name).is_not_null() for name in contest.votes)


def row_schema(contest: Contest) -> dict[str, pl.DataType | type[pl.DataType]]:
    return {
        "area": pl.Int32, "station": pl.String, "recap": pl.Boolean, "revision": pl.Int32, "withdrawn": pl.Boolean, "package": pl.Int32,
        **dict.fromkeys(contest.figures, pl.Int32),
    }  # fmt: skip


def typed_rows(text: pl.DataFrame, contest: Contest, definition: Definition) -> pl.DataFrame:
    """Text columns of `rows.csv` (with `recap` and `package` added) to typed ones; what does not parse becomes null."""
    places = pl.Enum(definition.areas.codes)
    return text.select(
        pl.col("area").cast(places, strict=False).to_physical().cast(pl.Int32),
        pl.col("station").fill_null(""),
        pl.col("recap"),
        pl.col("revision").cast(pl.Int32, strict=False),
        (pl.col("state") == "withdrawn").fill_null(False).alias("withdrawn"),
        pl.col("package").cast(pl.Int32),
        *(pl.col(name).cast(pl.Int32, strict=False) for name in contest.figures),
    )


def package_text(packages: Sequence[tuple[int, Package]], contest: Contest) -> pl.DataFrame:
    """Rows of many packages of one contest as one frame of text, with `package`, `recap` and `line`.

    Raises:
        PackageError: the first package whose `rows.csv` has another structure.
    """
    text = _parsed_at_once([package.rows for _, package in packages], contest)
    if text is None:
        text = pl.concat([parse_rows(package, contest) for _, package in packages])
    places = pl.DataFrame(
        {
            "package": pl.Series([number for number, _ in packages], dtype=pl.Int32),
            "recap": pl.Series([package.cover.series == "recap" for _, package in packages], dtype=pl.Boolean),
            "end": pl.Series([package.rows.count(b"\n") + 1 for _, package in packages], dtype=pl.Int32),
        }
    )
    lines = places.filter(pl.col("end") > 2).select(
        "package", "recap", pl.int_ranges(2, "end", dtype=pl.Int32).alias("line")
    )
    return pl.concat([text, lines.explode("line")], how="horizontal")


def _parsed_at_once(files: Sequence[bytes], contest: Contest) -> pl.DataFrame | None:
    """Rows of many files, which cost little more than one; None if the structure of any is not right."""
    columns = row_columns(contest)
    header = ",".join(columns).encode() + b"\n"
    # Whole lines each, so that none can change what the next one says.
    if not all(data.startswith(header) and data.endswith(b"\n") for data in files):
        return None
    try:
        whole = header + b"".join(data.removeprefix(header) for data in files)
        return read_strict(whole, columns, file="rows.csv", error=PackageError)
    except PackageError:
        return None


def load_rows(ledger: Ledger, definition: Definition, cache: Path | None) -> dict[str, Rows]:
    """Rows of every contest after all packages of the ledger.

    `cache` may hold the fold of an earlier state of the same ledger and definition; it can be deleted at any time.
    """
    contests = {contest.id: contest for contest in definition.election.contests}
    done, rows = _read_cache(ledger, definition, cache) if cache else (0, {})
    if not rows:
        done, rows = 0, {name: Rows(contest) for name, contest in contests.items()}
    for name, contest in contests.items():
        new = [
            (number, ledger.read(record))
            for number, record in enumerate(ledger.packages[done:], done + 1)
            if record.contest == name
        ]
        if new:
            _fold(rows[name], new, contest, definition)
    for record in ledger.packages[done:]:
        if record.contest not in contests:
            raise DefinitionError(
                f"the ledger has figures of contest {record.contest!r}, which election.toml no longer names",
                rule="contest-lost",
            )
    return rows


def _fold(rows: Rows, packages: list[tuple[int, Package]], contest: Contest, definition: Definition) -> None:
    """Fold packages that the ledger has accepted."""
    text = package_text(packages, contest)
    typed = typed_rows(text, contest, definition)
    if typed["area"].null_count():
        lost = text.filter(typed["area"].is_null())["area"].unique().sort().to_list()
        raise DefinitionError(
            f"the ledger has figures of areas that areas.csv no longer names ({len(lost)}: {', '.join(lost[:5])}{', …' if lost[5:] else ''}); "
            "put them back: what was published is never removed",
            rule="area-lost",
        )
    rows.add(typed)


def save_rows(ledger: Ledger, definition: Definition, rows: dict[str, Rows], cache: Path) -> None:
    """Keep the fold for the next run. Written so that a stop midway leaves a cache that is not taken."""
    cache.mkdir(parents=True, exist_ok=True)
    mark = cache / "state"
    mark.unlink(missing_ok=True)
    hashes = []
    frames = [frame for one in rows.values() for frame in (one.current, one.replaced)]
    for path, frame in zip(_frame_paths(rows, cache), frames, strict=True):
        frame.write_ipc(path)
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    durable.write_file(mark, _state(ledger, definition, len(ledger.packages), hashes))


def _frame_paths(contests: Iterable[str], cache: Path) -> Iterator[Path]:
    """The cache's files: for each contest its current rows, then the replaced ones."""
    return (cache / f"{name}.{part}.arrow" for name in contests for part in ("current", "replaced"))


def _state(ledger: Ledger, definition: Definition, count: int, hashes: Iterable[str]) -> bytes:
    """What a cache is the fold of, by which program, and the SHA-256 of its files: what is read from it is published."""
    words = ["2", __version__, str(count), ledger.chain(count), definition.sha256, *hashes]
    return f"{' '.join(words)}\n".encode()


def _read_cache(ledger: Ledger, definition: Definition, cache: Path) -> tuple[int, dict[str, Rows]]:
    try:
        mark = (cache / "state").read_bytes()
        count = int(mark.split(b" ")[2])
        if not 0 <= count <= len(ledger.packages):
            return 0, {}
        contests = {contest.id: contest for contest in definition.election.contests}
        # Read once: the bytes that were hashed are the ones that are used.
        files = [path.read_bytes() for path in _frame_paths(contests, cache)]
        if mark != _state(ledger, definition, count, [hashlib.sha256(data).hexdigest() for data in files]):
            return 0, {}
        frames = iter([pl.read_ipc(data) for data in files])
        return count, {name: Rows(contest, next(frames), next(frames)) for name, contest in contests.items()}
    except (OSError, ValueError, IndexError, pl.exceptions.PolarsError):
        return 0, {}
