"""Data files that another version of zlib or polars compressed: neither forged nor the same, and told as what they are."""

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from builder.site import Site
from tests.election import NIGHT, correction, minutes
from tests.publish.test_audit import Published
from tests.publish.workspace import changed_area_files, copy_tree

CSV, PARQUET = "data/ppwp/11.stations.csv.gz", "data/ppwp/11.stations.parquet"
DESCRIPTIONS = {"data/ppwp/0.datapackage.json", "data/ppwp/0.dataset.jsonld", "data/ppwp/0.html"}


def gzipped(data: bytes, level: int = 9) -> bytes:
    return zlib.compress(data, level, wbits=31)


def parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd", compression_level=9)
    return buffer.getvalue()


def read(data: bytes) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(data))


@pytest.fixture
def site(first_release: Path, tmp_path: Path) -> Published:
    return Published(copy_tree(first_release, tmp_path / "site"))


def report(site: Published, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = site.audit("--json", *arguments)
    return done.exit_code, json.loads(done.stdout)


def paths(changes: list[dict[str, Any]], release: int | None = None) -> set[str]:
    return {change["path"] for change in changes if change["release"] == release}


@pytest.fixture
def other_libraries(site: Published, monkeypatch: pytest.MonkeyPatch) -> Published:
    """A second release, for which the publisher's zlib and polars compress otherwise than the auditor's."""
    with monkeypatch.context() as inside:
        inside.setattr("builder.exports.GZIP_LEVEL", 9)
        inside.setattr("builder.exports._parquet", parquet)
        site.release(NIGHT + minutes(1), fix=correction())
    return site


def test_other_libraries_are_told(other_libraries: Published) -> None:
    """What another zlib or polars compressed is told as that, with what names its hashes; nothing of it is a change, and the audit succeeds."""
    code, told = report(other_libraries)
    assert (code, told["changes"], told["verified"]) == (0, [], True)
    found = paths(told["recompressed"])
    assert {CSV, PARQUET, *DESCRIPTIONS} <= found
    assert all(path.startswith("data/") for path in found)
    lines = other_libraries.audit().stdout
    assert f"RECOMPRESSED {CSV}: same content, other compression" in lines
    assert f"same content, compressed otherwise: {len(found)}" in lines


def test_other_libraries_in_an_earlier_release(other_libraries: Published) -> None:
    """The same of an earlier release, as long as its files are public; once they are gone nobody can say."""
    other_libraries.release(NIGHT + minutes(2), fix3=correction(revision=3))
    code, told = report(other_libraries, "--all-releases")
    assert (code, told["changes"]) == (0, [])
    assert {CSV, PARQUET, *DESCRIPTIONS} <= paths(told["recompressed"], 2)
    assert [told["releases"][1][name] for name in ("verdict", "why")] == [
        "same",
        f"{len(paths(told['recompressed'], 2))} files compressed otherwise",
    ]
    for change in told["recompressed"]:
        if change["release"] == 2 and change["path"] == CSV:
            folder, _, name = change["path"].rpartition("/")
            (other_libraries.public / "targets" / folder / f"{change['published']}.{name}").unlink()
    code, told = report(other_libraries, "--all-releases")
    assert (code, told["changes"], told["releases"][1]["verdict"]) == (1, [], "unknown")
    assert "perhaps by their compression alone" in told["releases"][1]["why"]


def with_name(data: bytes) -> bytes:
    """The member with the field for a file's name, in which somebody hides something."""
    text = zlib.decompress(data, wbits=31)
    raw = zlib.compress(text, 9, wbits=-15)
    return b"\x1f\x8b\x08\x08\0\0\0\0\0\x03" + b"Calon 2: 99%\0" + raw + struct.pack("<II", zlib.crc32(text), len(text))


FORGED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "figure": (CSV, lambda data: gzipped(zlib.decompress(data, wbits=31).replace(b",100,", b",101,", 1))),
    "a-line-more": (CSV, lambda data: gzipped(zlib.decompress(data, wbits=31) + b"x\n")),
    "a-line-less": (CSV, lambda data: gzipped(zlib.decompress(data, wbits=31)[:-20])),
    "something-after-it": (CSV, lambda data: data + b"hidden"),
    "second-member": (CSV, lambda data: data + gzipped(b"hidden")),
    "cut": (CSV, lambda data: data[:-4]),
    "named": (CSV, with_name),
    "no-gzip": (CSV, lambda data: b"hidden"),
    "bomb": (CSV, lambda data: gzipped(bytes(3_000_000))),
    "much-longer": (CSV, lambda data: gzipped(zlib.decompress(data, wbits=31), 0) + bytes(100_000)),
    "parquet-figure": (PARQUET, lambda data: parquet(read(data).with_columns(pl.col("votes_1") + 1))),
    "parquet-type": (PARQUET, lambda data: parquet(read(data).with_columns(pl.col("votes_1").cast(pl.Float64)))),
    "parquet-name": (PARQUET, lambda data: parquet(read(data).rename({"votes_1": "votes_2", "votes_2": "votes_1"}))),
    "parquet-order": (PARQUET, lambda data: parquet(read(data).reverse())),
    "parquet-row": (PARQUET, lambda data: parquet(read(data)[1:])),
    "no-parquet": (PARQUET, lambda data: b"hidden"),
    "broken-parquet": (PARQUET, lambda data: data[:4] + bytes(len(data) - 12) + data[-8:]),
}


@pytest.mark.parametrize("attack", FORGED)
def test_no_forged_file_passes_for_recompressed(site: Published, monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    """THREATS 15: a data file that holds anything else, or hides anything, is a change like any other."""
    where, change = FORGED[attack]
    with monkeypatch.context() as inside:
        forge = changed_area_files(lambda path, data: change(data) if path == where else data)
        inside.setattr(Site, "area_files", forge)
        site.release(NIGHT + minutes(1), fix=correction())
    code, told = report(site)
    assert (code, paths(told["changes"]), told["recompressed"]) == (4, {where}, [])
