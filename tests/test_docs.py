"""Every command that the documents show is run, in their order, as a reader would; every one that they name exists."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from publish.cli.main import terbit
from tests.programs import require
from verifier.cli.main import main as terbit_verify

PROJECT = Path(__file__).parents[1]
DOCUMENTS = [
    PROJECT / "README.md",
    *sorted(path for folder in ("bench", "content", "docs") for path in (PROJECT / folder).rglob("*.md")),
    *(PROJECT / name for name in ("SECURITY.md", "CHANGELOG.md")),
]
# Where the reader of a document stands; elsewhere in the workspace that the README makes.
FOLDERS = {"README.md": ".", "docs/first-election.md": "first", "docs/operations.md": "srv/hasil"}
# What stands in a document for something of the reader's own, and what it is here.
OWN = {
    "/srv/hasil": "../../srv/hasil",
    "/media/stick": "../../stick",
    "ALAMAT-SITUS": "public/contoh-2029",
    "ADDRESS-OF-THE-SITE": "public/contoh-2029",
    "SIDIK-ROOT": "$(sha256sum keys/metadata/1.root.json | cut -d' ' -f1)",
    "ROOT-FINGERPRINT": "$(sha256sum keys/metadata/1.root.json | cut -d' ' -f1)",
}


@dataclass(frozen=True)
class Special:
    """A command that cannot be run just as it stands: why, what the reader did `first`, what is run `instead`."""

    why: str
    first: str = "true"
    instead: str | None = None
    code: int = 0


DOWNLOAD = "cp public/contoh-2029/ppwp/1101/1101.json{,.minisig} keys/public/minisign.pub ."
EDIT = "echo '# changed' >> content/election.toml"
SLOW = "a passphrase of an offline key costs seconds and a gigabyte, three times"
STATION = """python3 -c 'import zipfile; zipfile.ZipFile("tps.zip", "w").writestr("1101010101001.json", "{}")'"""
ROWS = "area,station,revision,state,votes_1,votes_2,votes_3,registered_male,registered_female,registered,voters_listed,voters_moved,voters_unlisted,voters,valid,invalid,total"
LOG_KEY = "hasil.example/pemilu-2019/log+32cf7ba1+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
WITNESS = f"echo kata sandi > passphrase; printf 'log {LOG_KEY}\\nquorum none\\n' > tlog-policy.txt"
SPECIAL = {
    "make demo": Special("make would first make an environment", instead="terbit demo build/demo"),
    "make test": Special("is this", instead="true"),
    "make national": Special("needs data that are not part of the project", instead="true"),
    "make bench": Special("needs data that are not part of the project", instead="true"),
    "terbit keys init --no-passphrase": Special(
        SLOW, instead="terbit keys init --no-passphrase --no-offline-passphrase"
    ),
    "terbit keys init --offline-dir /media/stick --no-passphrase": Special(
        SLOW,
        first="terbit init .; mkdir ../../stick",
        instead="terbit keys init --offline-dir ../../stick --no-passphrase --no-offline-passphrase",
    ),
    "terbit serve": Special("serves until it is stopped", instead="terbit serve --port $PORT"),
    "terbit-verify mirror serve mirror": Special(
        "serves until it is stopped", instead="terbit-verify mirror serve mirror --port $PORT"
    ),
    "terbit-verify mirror serve salinan": Special(
        "serves until it is stopped", instead="terbit-verify mirror serve salinan --port $PORT"
    ),
    "terbit keys rotate timestamp --no-passphrase": Special("says what waits", code=3),
    "terbit keys refresh": Special("needs a changed definition, and says what waits", first=EDIT, code=3),
    "terbit import sirekap tps.zip --candidates 100028=1": Special(
        "needs a source; its station is not in the example", first=STATION, code=1
    ),
    "terbit import areas wilayah.csv.gz --map kpu-2024-areas -o areas.csv": Special(
        "needs a source", first=r"printf 'kode,nama,max_tps,ext_begin,ext_end\n11,ACEH,,,\n' | gzip > wilayah.csv.gz"
    ),
    "python docs/storage/apply.py hasil pemilu-2029 --endpoint https://s3.example.id": Special(
        "needs a server: tests/publish/test_storage_policy.py runs it", instead="true"
    ),
    "terbit-verify witness init saksi --name saksi.example.org/1 --policy tlog-policy.txt --url https://saksi.example.org --passphrase-file passphrase": Special(
        "needs what the text says to have", first=WITNESS
    ),
    "terbit-verify witness serve saksi --behind-proxy --passphrase-file passphrase": Special(
        "serves until it is stopped",
        instead="terbit-verify witness serve saksi --behind-proxy --passphrase-file passphrase --port $PORT & "
        "until (: > /dev/tcp/127.0.0.1/$PORT) 2> /dev/null; do sleep 0.05; done; kill $!",
    ),
    "terbit-verify witness pull saksi --passphrase-file passphrase": Special(
        "says that the log has no URL here: tests/verifier/test_witness.py pulls from one", code=1
    ),
    "terbit-verify compare tallies.csv ADDRESS-OF-THE-SITE --root-sha256 ROOT-FINGERPRINT": Special(
        "needs what the text says to have", first=r"printf 'area,station,valid\n11010101,1,204\n' > tallies.csv"
    ),
    "terbit-verify compare tallies.csv ADDRESS-OF-THE-SITE --all --html report.html --csv differences.csv": Special(
        "tells what the tallies leave out", code=1
    ),
    "terbit recap receipt 1101.zip -o 1101.receipt": Special(
        "needs a package that came in",
        first="terbit import csv content/example/count.csv --map content/example/count.toml; terbit publish -y; cp -r ledger/packages/$(ls ledger/packages | head -n 1) 1101; cp public/contoh-2029/trust/tlog-policy.txt .",
        instead="terbit recap receipt 1101 -o 1101.receipt",
    ),
    "terbit redact 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef c1.png --order order.txt": Special(
        "needs a scan: tests/publish/test_redaction.py runs it", instead="true"
    ),
    "terbit recover https://hasil.example.id/pemilu-2029": Special(
        "needs the address", instead="terbit recover public/contoh-2029"
    ),
    "ssh-keygen -t ed25519-sk -f petugas-1101": Special(
        "needs a hardware key", instead="ssh-keygen -q -t ed25519 -N '' -f petugas-1101"
    ),
    "terbit recap pack rows.csv --contest ppwp --area 1101 --series recap --form D.HASIL --document 12/PL.01 --key petugas-1101 -o 1101.zip": Special(
        "needs rows", first=rf"printf '{ROWS}\n1101,,1,,1,2,3,,,,,,,,,,\n' > rows.csv"
    ),
    "terbit publish --attest imports": Special("needs imports", first="mkdir imports"),
    "terbit rebuild-and-sign --watch 5": Special(
        "needs another machine, and goes on until it is stopped: tests/publish/test_second.py runs it", instead="true"
    ),
    "minisign -Vm 1101.json -p minisign.pub": Special("needs what the text says to download", first=DOWNLOAD),
}


def shell_lines(document: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each command in the document's blocks; a block that hides one is an error. A block with a file's name is that file."""
    fence: str | None = None
    shown: list[str] = []
    for number, line in enumerate(document.read_text().splitlines(), 1):
        text, place = line.strip(), f"{document.relative_to(PROJECT)}:{number}"
        if text.startswith("```"):
            if fence and " " in fence:
                yield place, "\n".join([f"cat > {fence.split()[1]} << 'END'", *shown, "END"])
            fence, shown = None if fence is not None else text[3:], []
        elif fence and " " in fence:
            shown.append(line)
        elif fence == "sh" and text:
            yield place, re.split(r"\s+#", text)[0]
        elif fence == "cron":
            yield place, text.split(maxsplit=5)[5]
        elif fence is not None or line.startswith("    "):
            assert not re.match(r"(\$ )?(make|minisign|terbit|terbit-verify) ", text), f"{place}: mark the block as sh"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A reader's machine: our two programs on the path, a home of its own, nothing between it and itself."""
    for name, module in (("terbit", "publish.cli.main"), ("terbit-verify", "verifier.cli.main")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from {module} import main; main()' \"$@\"\n")
        program.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    own = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT), "HOME": str(tmp_path)}
    return {**kept, **own, "PORT": str(port)}


def test_commands_of_the_documents(tmp_path: Path, environment: dict[str, str]) -> None:
    """Every command in the documents' blocks does what the text around it leads one to expect: it ends with its exit code."""
    used, missing = set(), set()
    for document in DOCUMENTS:
        folder = tmp_path / FOLDERS.get(document.relative_to(PROJECT).as_posix(), "hasil")
        folder.mkdir(parents=True, exist_ok=True)
        for place, line in shell_lines(document):
            special = SPECIAL.get(line, Special(""))
            used.add(line)
            command = special.instead or line
            for theirs, ours in OWN.items():
                command = command.replace(theirs, ours)
            program, *words = command.split(maxsplit=1)
            if program == "cd" and "&&" not in command:
                folder /= words[0]
            elif command.startswith(("terbit serve", "terbit-verify mirror serve")):
                serve_one_page(command, folder, environment)
            elif program != "cd" and shutil.which(program, path=environment["PATH"]) is None:
                missing.add(program)
            else:
                done = subprocess.run(
                    ["bash", "-ec", f"{special.first}\n{command}"],
                    cwd=folder, env=environment, input="y\n", capture_output=True, text=True, check=False, timeout=60,
                )  # fmt: skip
                assert done.returncode == special.code, f"{place}: {line}\n{done.stdout}{done.stderr}"
    assert set(SPECIAL) - used == set(), "these stand in no document any more"
    for program in missing:
        require(program)


def serve_one_page(command: str, folder: Path, environment: dict[str, str]) -> None:
    """Start the server, ask it for the front page, and stop it."""
    words = shlex.split(command.replace("$PORT", environment["PORT"]))
    definition = (folder / "content/election.toml").read_text() if (folder / "content").is_dir() else ""
    election = tomllib.loads(definition).get("id", "contoh-2029")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            while server.poll() is None:
                try:
                    page = direct.open(f"http://127.0.0.1:{environment['PORT']}/{election}/", timeout=10)
                except urllib.error.URLError:
                    time.sleep(0.05)
                    continue
                assert b"<title>" in page.read()
                return
            pytest.fail(f"{command} ended: {server.stderr and server.stderr.read()}")
        finally:
            server.terminate()


def named_commands() -> Iterator[object]:
    """Each command of ours that stands in the text of a document, as `code`, or in a --help as an example."""
    for document in DOCUMENTS:
        text = re.sub(r"```.*?```", "", document.read_text(), flags=re.S)
        for span in dict.fromkeys(re.findall(r"`((?:terbit|terbit-verify) [^`]+)`", text)):
            yield pytest.param(span, id=f"{document.relative_to(PROJECT)}: {span}")
    for name, text in (*help_texts("terbit", terbit), *help_texts("terbit-verify", terbit_verify)):
        examples = re.findall(r"(?:terbit|terbit-verify) [^\n&;]+", text.partition("Example")[2])
        for span in examples or [f"{name} has no example"]:
            yield pytest.param(span, id=f"{name} --help: {span}")


def help_texts(name: str, command: click.Command) -> Iterator[tuple[str, str]]:
    """Names and help of a command and of those below it."""
    yield name, f"{command.help}\n{command.epilog}"
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from help_texts(f"{name} {below}", found)


@pytest.mark.parametrize("span", list(named_commands()))
def test_named_commands_exist(span: str) -> None:
    """A command that a text or a --help names is one that the program has, with these options."""
    program, *words = shlex.split(span)
    command: click.Command = terbit if program == "terbit" else terbit_verify
    done = CliRunner().invoke(command, [*words, "--help"])
    assert done.exit_code == 0, done.output
