"""What the feeds tell on a busy night: what was replaced, not what was merely filled in."""

import re
from pathlib import Path

from publish.cli.keys import create_keys
from publish.workspace import Workspace
from tests.election import ELECTION, NIGHT, minutes, package, row, write_definition
from tests.publish.workspace import deliver, publish


def test_fillings_do_not_bury_corrections(tmp_path: Path) -> None:
    """Rows in which only empty fields were filled in are no entries of the feed of corrections, however many came after the one that was replaced; a withdrawal is one."""
    write_definition(tmp_path / "content", ELECTION)
    (tmp_path / "terbit.toml").write_text("workers = 1\n")
    create_keys(Workspace(tmp_path), NIGHT)
    stations = range(1, 121)
    bare = [f"110101,{station},1,,100,90,,,," for station in stations]
    deliver(tmp_path, {"a": package("1101", bare)})
    publish(tmp_path)
    replaced = [row("110101", 7, 80, 110, revision=2), row("110101", 8, 0, 0, revision=2, state="withdrawn")]
    deliver(tmp_path, {"b": package("1101", replaced, reason="transcription")})
    publish(tmp_path, NIGHT + minutes(5))
    filled = [row("110101", station, 100, 90, revision=2) for station in stations if station not in (7, 8)]
    deliver(tmp_path, {"c": package("1101", filled, reason="late")})
    publish(tmp_path, NIGHT + minutes(10))
    feeds = tmp_path / "public" / "uji" / "feeds"
    titles = re.findall("<title>Aman, Satu, Utara: (.*?) ", (feeds / "corrections.atom").read_text())
    assert titles == ["TPS", "TPS"]
    told = re.findall('<content type="text">(.*?)</content>', (feeds / "releases.atom").read_text())
    assert told == [
        "Paket baru yang diterima: 1.",
        "Paket baru yang diterima: 1. Baris yang angkanya diganti atau ditarik: 2.",
        "Paket baru yang diterima: 1.",
    ]
