"""What `terbit-verify site` says of the recap packages behind the figures."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.election import NIGHT
from tests.publish.workspace import copy_tree
from verifier.cli.main import main


@pytest.fixture
def packages(first_release: Path, tmp_path: Path) -> Path:
    return copy_tree(first_release, tmp_path / "site") / "public" / "uji" / "packages"


def verify(packages: Path, tmp_path: Path, command: str = "site") -> tuple[int, dict[str, object]]:
    root = tmp_path / "keys" / "metadata" / "1.root.json"
    words = [command, packages.parent, "--root", root, "--state", tmp_path / "state", "--json"]
    result = CliRunner().invoke(main, [*map(str, words), "--now", f"{NIGHT:%Y-%m-%dT%H:%M:%SZ}"])
    return result.exit_code, json.loads(result.stdout)


def test_every_package_is_checked(packages: Path) -> None:
    """Each package that a results file names as its source is checked with all its files."""
    exit_code, told = verify(packages, packages.parents[2])
    assert (exit_code, told["packages"]) == (0, len(list(packages.iterdir())))


def garble(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2] + b"9\n")


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def cover_for_garbled_rows(path: Path) -> None:
    """A cover that names other rows, under the name of the true one."""
    rows = path.parent / tomllib.loads(path.read_text())["rows"]["file"]
    rows.write_bytes(b"x")
    path.write_text(path.read_text().replace("[rows]", "[rows]\n# mended"))


@pytest.mark.parametrize(
    ("name", "attack"),
    [
        *((name, attack) for name in ("rows.csv", "recap.toml") for attack in (garble, longer, Path.unlink)),
        ("recap.toml", cover_for_garbled_rows),
    ],
)
def test_a_changed_package_is_found(packages: Path, name: str, attack: Callable[[Path], None]) -> None:
    """A byte changed, added or taken away in a package is a failure that names the file."""
    victim = sorted(packages.iterdir())[0] / name
    attack(victim)
    exit_code, told = verify(packages, packages.parents[2])
    assert exit_code == 4
    assert victim.relative_to(packages.parent).as_posix() in {failure["path"] for failure in told["failures"]}  # type: ignore[attr-defined]
