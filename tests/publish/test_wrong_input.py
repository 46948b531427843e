"""What an operator hands to `terbit` by mistake: each ends in one line that says what is wrong and how to mend it, and never in a traceback."""

import io
import shutil
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from publish.cli.main import main
from tests.election import COLUMNS, row
from tests.publish.workspace import copy_tree, tree

JUNK = bytes(range(256)) * 4
UTF_16 = "code,name\n".encode("utf-16")
ROWS = "\n".join([COLUMNS, row("110101", 1, 100, 10), ""]).encode()
MAP = b"""contest = "ppwp"
series = "count"
form = "C1"
by = "Panitia"
[columns]
area = "area"
station = "station"
votes_1 = "votes_1"
votes_2 = "votes_2"
"""
SIREKAP = b'contest = "ppwp"\nform = "C1"\nby = "Panitia"\n[candidates]\n1 = 1\n'
PACK = "recap pack {} --contest ppwp --area 1101 --series count --form C1 --key key -o out.zip"
INIT = "keys init -C other --no-offline-passphrase"

Prepare = Callable[[Path], object]


def put(name: str, data: bytes) -> Prepare:
    """A file in the place of whatever stands there."""

    def prepare(here: Path) -> None:
        path = here / name
        if path.is_dir():
            shutil.rmtree(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return prepare


def gone(name: str) -> Prepare:
    return lambda here: shutil.rmtree(here / name) if (here / name).is_dir() else (here / name).unlink()


def zipped(name: str, data: bytes) -> Prepare:
    def prepare(here: Path) -> None:
        with zipfile.ZipFile(here / "tps.zip", "w") as archive:
            archive.writestr(name, data)

    return prepare


WRONG: dict[str, tuple[str, Prepare | None, int, str]] = {
    "init: below a file": ("init junk/new", None, 1, "junk/new: Not a directory"),
    "init: over something": ("init .", None, 1, "is not empty; name a new folder"),
    "templates: over something": ("templates content", None, 1, "is not empty; name a new folder"),
    "intake: a folder without a package": ("intake folder", None, 0, "folder: there is no package in it: a .zip, or a folder with recap.toml"),
    "intake: a bare file": ("intake junk", None, 1, "is no package: a .zip, or a folder with recap.toml"),
    "intake: a bare CSV": ("intake rows.csv", None, 1, "with recap.toml, as terbit import csv makes of a CSV"),
    "intake: a bare CSV in the inbox": ("intake", put("inbox/rows.csv", ROWS), 0, "rows.csv is left alone: it is no package (a zip, or a folder with recap.toml, as terbit import csv makes of a CSV)"),
    "intake: nothing": ("intake nothing.zip", None, 1, "nothing.zip: is not there"),
    "intake: no inbox": ("intake", gone("inbox"), 0, "inbox is not there, so nothing is taken in; make it"),
    "intake: a file for an inbox": ("intake", put("inbox", b""), 1, "inbox is not a folder, where packages would wait; move it away"),
    "intake: junk for a ledger": ("intake", put("ledger/records.jsonl", JUNK), 1, "restore the ledger from your backup, or move it away"),
    "intake: UTF-16 for terbit.toml": ("intake", put("terbit.toml", UTF_16), 1, "not UTF-8; save the file as UTF-8"),
    "import csv: a folder": ("import csv folder --map map.toml", None, 1, "folder: cannot be read: Is a directory"),
    "import csv: junk": ("import csv junk --map map.toml", None, 1, "this is no text; a CSV file is wanted"),
    "import csv: empty": ("import csv empty --map map.toml", None, 1, "the file is empty"),
    "import csv: UTF-16": ("import csv utf16 --map map.toml", None, 1, "not UTF-8 but UTF-16; save it as CSV UTF-8"),
    "import csv: no map": ("import csv rows.csv --map junk", None, 1, "no such map: give a path that ends with .toml, or one of "),
    "import csv: map and data swapped": ("import csv map.toml --map rows.csv", None, 1, "rows.csv: this is no map, which ends with .toml; the data come first"),
    "import csv: a map with a BOM": ("import csv rows.csv --map bom.toml", put("bom.toml", b"\xef\xbb\xbf" + MAP), 1, "begins with a byte-order mark; save it as UTF-8 without BOM"),
    "import sirekap: junk": ("import sirekap junk --map sirekap.toml", None, 1, "is neither a folder nor a .zip"),
    "import sirekap: a folder without JSON": ("import sirekap folder --map sirekap.toml", None, 1, "no station's JSON in it (names such as "),
    "import sirekap: junk in a zip": ("import sirekap tps.zip --map sirekap.toml", zipped("1101010101001.json", JUNK), 1, "1101010101001.json: not UTF-8 [unreadable]"),
    "import sirekap: a broken candidate": ("import sirekap tps.zip --candidates x", zipped("a", b""), 2, "is not of the form 100025=1"),
    "import areas: no gzip": ("import areas areas.gz --map kpu-2024-areas -o a.csv", None, 1, "areas.gz: not gzip"),
    "keys init: an empty passphrase": (f"{INIT} --passphrase-file empty", None, 1, "empty holds no passphrase; write one into it, or give "),
    "keys init: a missing passphrase": (f"{INIT} --passphrase-file nothing", None, 1, "nothing cannot be read: No such file"),
    "keys init: areas.csv with CR LF": (f"{INIT} --no-passphrase", put("other/content/areas.csv", b"code,parent,level,name,kind,stations\r\n"), 1, "the lines end with CR LF; save the file with Unix line ends"),
    "keys init: empty areas.csv": (f"{INIT} --no-passphrase", put("other/content/areas.csv", b""), 1, "the file is empty; its first line must be 'code,parent,"),
    "keys init: UTF-16 areas.csv": (f"{INIT} --no-passphrase", put("other/content/areas.csv", UTF_16), 1, "not UTF-8 but UTF-16; save the file as CSV UTF-8"),
    "publish: no keys": ("publish -q", gone("keys"), 1, "run: terbit keys init"),
    "publish: the first root lost": ("publish -q", gone("keys/metadata/1.root.json"), 1, "metadata is not whole: no root leads to what it holds; restore it from your backup"),
    "publish: trust lost": ("publish -q", gone("keys/trust"), 1, "is missing or damaged in "),
    "publish: a key lost": ("publish -q --yes", gone("keys/online/site.key"), 1, "keys/online/site.key from your backup, or: terbit keys rotate site"),
    "publish: junk for a page": ("publish -q", put("content/pages/id/x.md", JUNK), 1, "not UTF-8; save the file as UTF-8"),
    "publish: a file for the public folder": ("publish -q", put("public", b""), 1, "Not a directory"),
    "publish: no templates": ("publish -q", put("terbit.toml", b'templates = "no"\n'), 1, "which this makes: terbit templates NEW"),
    "plan: into nowhere": ("plan -q -o no/plan.json", None, 1, "no: there is no such folder"),
    "apply: junk": ("apply junk", None, 1, "is not a plan"),
    "apply: another JSON": ("apply public/uji/latest.json", None, 1, "make one: terbit plan -o plan.json"),
    "sign: nothing waits": ("sign --yes --key keys/offline/root-1.key", None, 0, "Nothing waits for a signature."),
    "recover: a folder without an election": ("recover folder", None, 2, "must be an election's folder, or hold exactly one; found: none"),
    "recover: another scheme": ("recover ftp://example.org/uji", None, 2, "is neither a folder nor a URL that begins with https:// or http://"),
    "recover: junk for a checkpoint": ("recover public/uji", put("public/uji/log/checkpoint", JUNK), 4, "; try another mirror"),
    "doctor: junk for a ledger": ("doctor --offline", put("ledger/records.jsonl", JUNK), 1, "the chain is broken"),
    "doctor: no definition": ("doctor --offline", gone("content/election.toml"), 1, "election.toml: cannot be read"),
    "recap pack: junk": (PACK.format("junk"), None, 1, "this is no text; a CSV file is wanted, whose first line is"),
    "recap pack: empty": (PACK.format("empty"), None, 1, "the file is empty; its first line must be"),
    "recap pack: CR LF": (PACK.format("rows.csv"), put("rows.csv", ROWS.replace(b"\n", b"\r\n")), 1, "as dos2unix does"),
    "recap pack: no key": (PACK.format("rows.csv"), None, 1, "ssh-keygen did not sign with key; is it an SSH secret key, or the .pub of one"),
    "recap pack: a scan by another name": (PACK.format("rows.csv") + " --scan junk", None, 2, "--scan 'junk': name it <area>_<station>.jpg"),
    "serve: no such port": ("serve --port 99999", None, 2, "99999 is not in the range"),
    "serve: a port in use": ("serve --port {port}", None, 1, "Address already in use; choose another --port or --host"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "prepare", "code", "said"), WRONG.values(), ids=WRONG)
def test_wrong_input_is_told_and_mended(
    first_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    words: str, prepare: Prepare | None, code: int, said: str,
) -> None:  # fmt: skip
    """It ends with its exit code and a message that names the remedy, and what is public stays as it was."""
    here = copy_tree(first_release, tmp_path / "here")
    shutil.copytree(here / "content", here / "other/content")
    (here / "other/terbit.toml").write_text("workers = 1\n")
    (here / "folder").mkdir()
    (here / "inbox").mkdir(exist_ok=True)
    files = {
        "junk": JUNK,
        "empty": b"",
        "utf16": UTF_16,
        "rows.csv": ROWS,
        "map.toml": MAP,
        "sirekap.toml": SIREKAP,
        "key": b"no key\n",
    }
    for name, data in files.items():
        (here / name).write_bytes(data)
    (here / "key").chmod(0o600)
    shutil.copyfile(here / "rows.csv", here / "areas.gz")
    if prepare:
        prepare(here)
    before = tree(here / "public") if (here / "public").is_dir() else {}
    monkeypatch.chdir(here)
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody is there to be asked
    ended: object = 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr("sys.argv", ["terbit", *words.format(port=taken.getsockname()[1]).split()])
        try:
            main()
        except SystemExit as stop:
            ended = stop.code
    out = capfd.readouterr()
    assert ended == code, out
    assert said in out.err + out.out
    assert "Traceback" not in out.err
    timestamps = ("uji/metadata/timestamp.json", "uji/latest.json")
    after = tree(here / "public") if before else {}
    assert {path for path in after if before.get(path) != after[path]} <= {*timestamps}
