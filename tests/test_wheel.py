"""The wheel carries what the program needs beside its code, and a source install finds the same."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import builder
from builder.site import packaged_templates

PROJECT = Path(builder.__path__[0]).parent
NEEDED = (
    "site_templates/base.html",
    "content/election.toml",
    "builder/results.schema.json",
    "publish/terbit.toml",
    "builder/importers/maps/kpu-2019-ppwp.toml",
    "builder/importers/maps/sirekap-2024-final.toml",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """The wheel, built as an installer builds it: in isolation, so the build backend comes from the package index."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, PROJECT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and os.environ.get("TERBIT_REQUIRE_ALL") != "1" and "hatchling" in done.stderr:
        pytest.skip("the build backend, hatchling, cannot be fetched here")
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("terbit-*.whl")
    return zipfile.Path(built)


@pytest.mark.parametrize("name", NEEDED)
def test_wheel_has(wheel: zipfile.Path, name: str) -> None:
    """A file that is data, not code, lies in the wheel with the source tree's bytes."""
    assert (wheel / name).read_bytes() == (PROJECT / name).read_bytes()


def test_wheel_has_all_data(wheel: zipfile.Path) -> None:
    """Every template, asset, text, map and page of the source tree is in the wheel."""
    folders = ("site_templates", "content", "builder/importers/maps")
    source = {
        path.relative_to(PROJECT).as_posix()
        for folder in folders
        for path in (PROJECT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert source - set(wheel.root.namelist()) == set()


def test_wheel_has_nothing_private(wheel: zipfile.Path) -> None:
    """Tests, builds and keys stay out of the wheel."""
    names = wheel.root.namelist()
    allowed = {"builder", "publish", "verifier", "site_templates", "content", f"terbit-{builder.__version__}.dist-info"}
    assert {name.partition("/")[0] for name in names} == allowed


def test_packaged_templates() -> None:
    """The program finds its templates where it runs from."""
    assert (packaged_templates() / "base.html").is_file()
