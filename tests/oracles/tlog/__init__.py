"""Go's note and tlog packages, which run Go's checksum database, asked from Python."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.programs import build_go

__all__ = ["go_tlog"]

SOURCE = Path(__file__).parent / "main.go"


def go_tlog(folder: Path) -> Callable[..., dict[str, Any]]:
    """Build main.go in `folder`; the function asks it a question, whose parts are its keyword arguments."""
    program = folder / "tlog"
    build_go(SOURCE, "golang.org/x/mod/sumdb", program)

    def ask(**question: object) -> dict[str, Any]:
        done = subprocess.run([program], input=json.dumps(question), capture_output=True, text=True, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return ask
