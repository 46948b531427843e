"""Outside programs that check our work."""

import os
import shutil
import sys
from pathlib import Path

import pytest

__all__ = ["require"]


def require(name: str) -> str:
    """Path of the program `name`; without it the test is skipped, or fails where TERBIT_REQUIRE_ALL=1 demands it."""
    beside = f"{Path(sys.executable).parent}{os.pathsep}/usr/sbin"
    path = shutil.which(name) or shutil.which(name, path=beside)
    if path is None:
        reason = f"{name} is not installed"
        if os.environ.get("TERBIT_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
