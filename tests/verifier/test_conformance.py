"""The public tuf-conformance suite (https://github.com/theupdateframework/tuf-conformance) on our clients."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.checker import write_checker
from tests.programs import require

PROJECT = Path(__file__).parents[2]
CLIENTS = {
    "python": PROJECT / "tests/verifier/conformance_client.py",
    "browser": PROJECT / "tests/browser/conformance.mjs",
}


@pytest.mark.skipif("TUF_CONFORMANCE" not in os.environ, reason="TUF_CONFORMANCE names no checkout of tuf-conformance")
@pytest.mark.parametrize("language", CLIENTS)
def test_the_public_suite_passes(language: str, tmp_path: Path) -> None:
    """Our client passes every test of the suite; TUF_CONFORMANCE_PYTHON may name the suite's own interpreter."""
    python = os.environ.get("TUF_CONFORMANCE_PYTHON", sys.executable)
    client = tmp_path / "client"
    program = sys.executable if language == "python" else require("node")
    client.write_text(f'#!/bin/sh\nPYTHONPATH="{PROJECT}" exec "{program}" "{CLIENTS[language]}" "$@"\n')
    client.chmod(0o755)
    suite = Path(os.environ["TUF_CONFORMANCE"])
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tuf_conformance", "--entrypoint", str(client)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    environment["TERBIT_CHECKER"] = str(write_checker(tmp_path / "checker.mjs"))  # the browser's as it is published
    result = subprocess.run(command, cwd=suite, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-5_000:]
    assert " passed" in result.stdout
    assert not any(word in result.stdout for word in (" failed", " xfailed", " skipped"))
