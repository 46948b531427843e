"""Outside programs that check our work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["build_go", "require", "require_package"]

GO_PACKAGES = Path("/usr/share/gocode")  # where Debian keeps Go's libraries
NODE_PACKAGES = Path(__file__).parents[1] / "build" / "npm" / "node_modules"


def require(name: str) -> str:
    """Path of the program `name`; without it the test is skipped, or fails where TERBIT_REQUIRE_ALL=1 demands it."""
    beside = f"{Path(sys.executable).parent}{os.pathsep}/usr/sbin"
    path = shutil.which(name) or shutil.which(name, path=beside)
    if path is None:
        _missing(f"{name} is not installed")
    return path


def require_package(name: str) -> Path:
    """Folder of the npm package `name`, where tests/install_programs.sh puts it; otherwise as `require`."""
    folder = NODE_PACKAGES / name
    if not folder.is_dir():
        _missing(f"{name} is not installed; run: sh tests/install_programs.sh")
    return folder


def _missing(reason: str) -> NoReturn:
    if os.environ.get("TERBIT_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def build_go(source: Path, package: str, program: Path) -> None:
    """Build the Go file `source`, which needs Debian's copy of `package`, as `program`. Offline; otherwise as `require`."""
    go = require("go")
    if not (GO_PACKAGES / "src" / package).is_dir():
        _missing(f"Go's {package} is not installed")
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": str(GO_PACKAGES),
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
    }
    subprocess.run([go, "build", "-o", program, source.name], cwd=source.parent, env=environment, check=True)
