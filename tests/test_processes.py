"""Processes that help a program: none outlives it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.publish.workspace import make_workspace

START = {
    "mirror": """
        from verifier.mirror import unpack
        from verifier.mirror.folder import Folder, Settings
        unpack.MANY_BYTES = 0
        unpack.os.sched_getaffinity = lambda pid: {0, 1}
        Folder.create(folder, Settings("uji", ("http://127.0.0.1:9/",)))
        found = unpack.Unpacker(Folder(folder))
        found.start((), 1)
        found._pool.submit(unpack._ready).result()
    """,
    "site": """
        from verifier.cli import places
        places.LARGE_SITE_ROLES = 0
        (folder / "metadata").mkdir()
        places.executor_for(str(folder)).submit(print, end="").result()
    """,
    "audit": """
        from verifier.audit.workshop import Workshop
        found = Workshop(2)
        found.run(print, [()])
    """,
    "publish": """
        from publish.release.jobs import Workers
        found = Workers(folder, 2)
        found.pool.submit(print, end="").result()
    """,
}


@pytest.mark.parametrize("name", START)
def test_no_process_outlives_its_program(tmp_path: Path, name: str) -> None:
    """Where a program is killed its worker processes end, too: they would write on beside the next run, and wait for work for ever."""
    folder = make_workspace(tmp_path / "site") if name == "publish" else tmp_path
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\nif __name__ == '__main__':\n    if True:"
        f"{START[name]}\n        print('started', flush=True)\n        sys.stdin.read()\n"
    )
    words = [sys.executable, "-B", str(program), str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"started\n":
            assert process.poll() is None
        process.kill()
        # Every process that it started has its standard output, too: this ends with the last of them.
        process.communicate(timeout=60)
