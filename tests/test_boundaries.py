"""Who imports whom: the builder knows no keys and no network, the verifier nobody, and commands start light."""

import importlib.metadata
import json
import pkgutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import builder

PROJECT = Path(builder.__path__[0]).parent

# What each package must never pull in, whichever of its modules is imported.
FORBIDDEN = {
    "builder": {"publish", "verifier", "nacl", "cryptography", "tuf", "securesystemslib", "boto3", "urllib3"},
    "verifier": {"builder", "publish", "polars", "jinja2"},
}
# What would make `--help` slow.
HEAVY = {"polars", "tuf", "jinja2", "boto3"}


@cache
def modules(package: str) -> tuple[str, ...]:
    found = pkgutil.walk_packages([str(PROJECT.joinpath(*package.split(".")))], prefix=f"{package}.")
    return (package, *(module.name for module in found))


def pulled_in(*names: str) -> set[str]:
    """Top-level names in a fresh interpreter's sys.modules after these imports, one interpreter for all of them."""
    script = "import importlib, json, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script, *names], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages(package: str) -> None:
    """No module of the package pulls in what the package must do without."""
    # An audit builds the site: that one part of the verifier stands on the builder, and nothing else stands on that part.
    names = [name for name in modules(package) if not name.startswith("verifier.audit")]
    assert len(names) > 10
    assert pulled_in(*names) & FORBIDDEN[package] == set()


def test_the_audit_stands_on_the_builder_alone() -> None:
    """The audit pulls in the builder, and nothing of the publisher."""
    assert pulled_in(*modules("verifier.audit")) & {"builder", "publish"} == {"builder"}


def test_publish_uses_both() -> None:
    """The publisher, all modules together, stands on the builder and the verifier."""
    assert pulled_in(*modules("publish")) >= {"publish", "builder", "verifier", "nacl", "tuf"}


@pytest.mark.parametrize("command", ["publish.cli.main", "verifier.cli.main"])
def test_commands_start_light(command: str) -> None:
    """A command's module alone leaves the heavy libraries for when they are needed."""
    assert pulled_in(command) & HEAVY == set()


def test_version() -> None:
    """The program knows the version under which it is installed."""
    try:
        installed = importlib.metadata.version("terbit")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("terbit is not installed; run: python -m pip install -e .")
    assert builder.__version__ == installed
