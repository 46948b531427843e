"""The Python and the browser's verifier end every shared vector alike."""

import base64
import json
import os
import subprocess
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.browser.checker import write_checker
from tests.programs import require
from verifier.client import Client
from verifier.errors import FetchError, FormatError, StaleError, VerificationError
from verifier.fetcher import MissingError
from verifier.formats import canonical_json, merkle, strict_json
from verifier.formats.tiles import node_reader

VECTORS = Path(__file__).parents[1] / "vectors"
FAILURES = {FormatError: "format", VerificationError: "verification", StaleError: "stale", FetchError: "fetch"}
LISTS = {
    "json": [None],
    "tlog/note": ["notes", "vkeys"],
    "tlog/checkpoint": [None],
    "tlog/cosignature": [None],
    "tlog/policy": [None],
    "tlog/proof": [None],
    "tlog/tree": ["inclusion", "consistency"],
    "tlog/tiles": ["consistency"],
}


def read(name: str):
    return json.loads((VECTORS / f"{name}.json").read_bytes())


MINISIGN = sorted(path.stem for path in (VECTORS / "minisign").glob("*.json"))
SITE = read("tuf")


def expected() -> dict[str, str]:
    """What every vector says of itself, by the name that vectors.mjs gives it."""
    found = {f"minisign/{name}": read(f"minisign/{name}")["expect"] for name in MINISIGN}
    for file, parts in LISTS.items():
        for part in parts:
            names = "/".join(filter(None, [file, part]))
            found |= {f"{names}/{one['name']}": one["expect"] for one in (read(file)[part] if part else read(file))}
    for case in SITE["cases"]:
        found |= {f"tuf/{case['name']}/{number}": step["expect"] for number, step in enumerate(case["steps"], start=1)}
    return found


@cache
def in_node(without_webcrypto: str = "") -> dict[str, str]:
    """What the verifier as it is published, made small, says of each vector."""
    command = [require("node"), "--no-warnings", Path(__file__).with_name("vectors.mjs"), *MINISIGN]
    with TemporaryDirectory() as folder:
        checker = write_checker(Path(folder) / "checker.mjs")
        environment = {**os.environ, "TERBIT_WITHOUT_WEBCRYPTO": without_webcrypto, "TERBIT_CHECKER": str(checker)}
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


@pytest.mark.parametrize("name", expected())
def test_the_browser_ends_as_the_vector_says(name):
    """The browser's verifier accepts the vector, or refuses it as the class of failure that it names."""
    assert in_node()[name] == expected()[name]


@pytest.mark.parametrize("without_webcrypto", ["", "1"], ids=["webcrypto", "own-cryptography"])
def test_every_vector_ends_alike(without_webcrypto):
    """The browser's verifier has run every shared vector, to the same ends with WebCrypto and with its own cryptography."""
    assert in_node(without_webcrypto) == expected()


@pytest.mark.parametrize("vector", read("json"), ids=lambda vector: vector["name"])
def test_python_reads_json_alike(vector):
    """Python's strict JSON gives the vector's canonical form, or refuses it."""
    data = base64.b64decode(vector["data_base64"])
    if vector["expect"] == "success":
        # canonical_json takes documents: a value alone is spelt within one.
        spelt = canonical_json.encode({"": strict_json.loads(data, "it")})
        assert spelt == b'{"":' + base64.b64decode(vector["canonical_base64"]) + b"}"
    else:
        with pytest.raises(FormatError):
            strict_json.loads(data, "it")


@pytest.mark.parametrize("vector", read("tlog/tiles")["consistency"], ids=lambda vector: vector["name"])
def test_python_reads_tiles_alike(vector):
    """Python makes the vector's consistency proof from its tiles."""
    tiles = {path: base64.b64decode(data) for path, data in read("tlog/tiles")["tiles"].items()}
    node = node_reader(vector["size"], lambda tile: tiles[tile.path])
    proof = merkle.consistency_proof(vector["old_size"], vector["size"], node)
    assert [one.hex() for one in proof] == vector["proof_hex"]


class _Tree:
    """A step's files as a verifier.fetcher.Fetcher."""

    def __init__(self, step: dict) -> None:
        self._tree, self._endless = SITE["tree"] | step["changes"], step.get("endless")

    def fetch(self, path: str, max_length: int) -> bytes:
        data = bytes(max_length + 1) if path == self._endless else base64.b64decode(self._tree.get(path) or "")
        if not data:
            raise MissingError(f"{path} is missing")
        if len(data) > max_length:
            raise VerificationError(f"{path} is too long")
        return data

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        return self.fetch(path, max_length), False


def end_of(step: dict, state: Path) -> str:
    root = base64.b64decode(SITE["tree"]["metadata/1.root.json"])
    try:
        client = Client(_Tree(step), state, datetime.fromisoformat(step["now"]), root)
        client.refresh()
        client.target(step["target"])
    except tuple(FAILURES) as error:
        return next(code for kind, code in FAILURES.items() if isinstance(error, kind))
    return "success"


@pytest.mark.parametrize("case", SITE["cases"], ids=lambda case: case["name"])
def test_python_ends_attacks_alike(case, tmp_path):
    """Python's client ends each step of the attack as it says."""
    assert [end_of(step, tmp_path) for step in case["steps"]] == [step["expect"] for step in case["steps"]]
