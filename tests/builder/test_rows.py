"""The cached fold of the ledger: taken when it is what was saved, else made again from the packages."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import builder
from builder.errors import PackageError
from builder.ledger import Ledger
from builder.recap import parse_rows, row_columns
from builder.rows import Rows, load_rows, package_text, save_rows
from tests.builder.elections import line, make_cuts, make_package, small_election

SMALL = small_election()


def deliver(directory: Path, *stations: str) -> Ledger:
    """A ledger to which each station came in a package of its own."""
    ledger = Ledger(directory)
    with ledger.lock():
        for station in stations:
            ledger.add_packages([(make_package(SMALL, line(SMALL, "111", station, votes_1=10)), 1)])
    return ledger


def saved(tmp_path: Path) -> Ledger:
    """A ledger of two packages with its cache."""
    ledger = deliver(tmp_path / "ledger", "1", "2")
    save_rows(ledger, SMALL, load_rows(ledger, SMALL, None), tmp_path / "cache")
    return ledger


def votes(rows: dict[str, Rows]) -> list[tuple[str, int, int]]:
    return rows["ppwp"].current.select("station", "votes_1", "package").sort("station").rows()


def figure(cache: Path) -> None:
    path = cache / "ppwp.current.arrow"
    pl.read_ipc(path.read_bytes()).with_columns(votes_1=pl.lit(77_777, dtype=pl.Int32)).write_ipc(path)


def text(before: str, after: str) -> Callable[[Path], None]:
    def change(cache: Path) -> None:
        state = (cache / "state").read_text()
        assert before in state
        (cache / "state").write_text(state.replace(before, after, 1))

    return change


CHANGES: dict[str, Callable[[Path], object]] = {
    "another figure": figure,
    "files swapped": lambda cache: shutil.copy(cache / "ppwp.replaced.arrow", cache / "ppwp.current.arrow"),
    "file cut off": lambda cache: (cache / "ppwp.current.arrow").write_bytes(b"ARROW1"),
    "file gone": lambda cache: (cache / "ppwp.current.arrow").unlink(),
    "state gone": lambda cache: (cache / "state").unlink(),
    "state empty": lambda cache: (cache / "state").write_bytes(b""),
    "state of fewer packages": text(" 2 ", " 1 "),
    "state of more packages": text(" 2 ", " 3 "),
    "count below zero": text(" 2 ", " -1 "),
    "count of 5,000 digits": text(" 2 ", f" {'2' * 5_000} "),
    "another program": text(builder.__version__, "0.0.1"),
    "another definition": text(SMALL.sha256, "0" * 64),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_cache(name: str, tmp_path: Path) -> None:
    """A cache that is not byte for byte the one that was saved is not taken: the rows are the ledger's."""
    ledger = saved(tmp_path)
    CHANGES[name](tmp_path / "cache")
    assert votes(load_rows(ledger, SMALL, tmp_path / "cache")) == [("1", 10, 1), ("2", 10, 2)]


def test_cache_is_taken(tmp_path: Path) -> None:
    """With a whole cache the ledger's packages are not read again, a cut later neither."""
    ledger = saved(tmp_path)
    (cut,) = make_cuts(2)
    with ledger.lock():
        ledger.add_cut(cut)
    shutil.rmtree(tmp_path / "ledger" / "packages")
    assert votes(load_rows(ledger, SMALL, tmp_path / "cache")) == [("1", 10, 1), ("2", 10, 2)]


def test_new_packages_come_on_top(tmp_path: Path) -> None:
    """An older cache of the same ledger is taken, and the packages since then are folded on top."""
    saved(tmp_path)
    ledger = deliver(tmp_path / "ledger", "3")
    assert votes(load_rows(ledger, SMALL, tmp_path / "cache")) == [("1", 10, 1), ("2", 10, 2), ("3", 10, 3)]


def test_cache_of_another_ledger(tmp_path: Path) -> None:
    """A cache whose ledger had another package before the same last one is not taken."""
    saved(tmp_path)
    other = deliver(tmp_path / "other", "9", "2")
    assert votes(load_rows(other, SMALL, tmp_path / "cache")) == [("2", 10, 2), ("9", 10, 1)]


CELLS = len(row_columns(SMALL.election.contests[0]))
ENDS = (
    b"",
    b"\n",
    b'"a"\n',
    b"\xff\n",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"111,9",
    b"\0\n",
    b"," * (CELLS - 2) + b"\n",
    b"," * CELLS + b"\n",
)


@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(st.just(b""), st.sampled_from(ENDS))), min_size=1, max_size=4))
def test_parsed_at_once(files: list[tuple[int, bytes]]) -> None:
    """Packages parsed together give the rows that each gives alone, and are refused if one of them is malformed."""
    contest = SMALL.election.contests[0]
    packages = []
    for number, (count, end) in enumerate(files, 1):
        rows = "".join(line(SMALL, "111", str(station), votes_1=number) for station in range(count))
        package = make_package(SMALL, rows)
        package.files = {**package.files, "rows.csv": package.rows + end}
        packages.append((number, package))
    try:
        alone = pl.concat([package_text([pair], contest) for pair in packages])
        plain = pl.concat([parse_rows(package, contest) for _, package in packages])
    except PackageError:
        with pytest.raises(PackageError):
            package_text(packages, contest)
    else:
        together = package_text(packages, contest)
        assert together.equals(alone)
        assert together.select(plain.columns).equals(plain)
