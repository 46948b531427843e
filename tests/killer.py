"""Processes that die at a chosen change to the disk, as a machine that loses power does.

`python -m tests.killer module:function` forks one for each line "limit<tab>folder" on stdin. It runs function(folder), dies
at its `limit`-th change, and its exit status and the number of its changes are printed.
"""

import importlib
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["DIED", "Kill", "killer", "opens_to_write"]

DIED = 99
ALTERS_NAMES = frozenset(["os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.truncate"])
Kill = Callable[[Path, int], tuple[int, int]]


def opens_to_write(event: str, arguments: tuple[object, ...]) -> bool:
    """True for the audit event of opening a file to write to it."""
    return event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))


@contextmanager
def killer(action: str) -> Iterator[Kill]:
    """Gives a function that runs `action`, a "module:function", on a folder up to a change to the disk; -1 is to the end.

    That returns the exit status, which is DIED for a process that came so far, and how many changes were made.
    """
    words = [sys.executable, "-B", "-m", "tests.killer", action]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        orders, answers = process.stdin, process.stdout

        def kill(folder: Path, limit: int) -> tuple[int, int]:
            print(limit, folder, sep="\t", file=orders, flush=True)
            status, count = answers.readline().split()
            return int(status), int(count)

        yield kill
        orders.close()


def run(action: Callable[[Path], object], folder: str, limit: int, told: int) -> None:
    """Run `action` in this process, which ends with it; the number of changes is written to `told`."""
    count = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in ALTERS_NAMES or (opens_to_write(event, arguments) and str(arguments[0]).startswith(folder)):
            count += 1
            if count == limit:
                os.write(told, b"%d" % count)
                os._exit(DIED)

    sys.addaudithook(watch)
    try:
        action(Path(folder))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os.write(told, b"%d" % count)
    os._exit(0)


def main() -> None:
    module, _, name = sys.argv[1].partition(":")
    action = getattr(importlib.import_module(module), name)
    for line in sys.stdin:
        limit, _, folder = line.rstrip("\n").partition("\t")
        read, write = os.pipe()
        if not (child := os.fork()):
            run(action, folder, int(limit), write)
        os.close(write)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with os.fdopen(read) as told:
            print(status, told.read() or 0, flush=True)


if __name__ == "__main__":
    main()
