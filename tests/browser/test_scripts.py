"""The scripts as they are published: joined, small, and under the same policy as the server's pages."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from builder.errors import ContentError
from builder.mirrors import mirrors_list
from builder.scripts import compact_script, join_modules, scripts
from builder.site import read_tree
from tests.programs import require
from verifier.headers import headers_for

TEMPLATES = Path(__file__).parents[2] / "site_templates"
FILES = read_tree(TEMPLATES)
HEADERS = ["Content-Type", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"]
HEADERS += ["Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy"]


@pytest.mark.parametrize("entry", ["sw", "standalone"])
def test_joined_modules_are_one_classic_script(entry: str, tmp_path: Path) -> None:
    """What is joined parses as a script, and nothing in it imports or evaluates anything."""
    script = tmp_path / "joined.cjs"
    script.write_bytes(compact_script(join_modules(FILES, entry), entry))
    subprocess.run([require("node"), "--check", script], check=True)
    assert not any(word in script.read_text() for word in ("import ", "eval(", "innerHTML", "importScripts"))


def test_what_a_page_loads_for_checking_is_small() -> None:
    """Checker and page script together, with all that they do where a browser lacks cryptography, are at most 40,000 bytes, 17,000 compressed; so is the checker in one file."""
    made = dict(scripts(FILES))
    page_script = compact_script(FILES["assets/periksa.js"], "assets/periksa.js")
    for loaded in (made["sw.js"] + page_script, made["assets/periksa-luring.html"]):
        assert len(loaded) <= 40_000
        assert len(gzip.compress(loaded)) <= 17_000


def test_a_script_that_is_none_is_refused() -> None:
    """What cannot be read as JavaScript is refused with the file's name, not published."""
    with pytest.raises(ContentError) as caught:
        compact_script(b"const = 1;", "assets/lain.js")
    assert caught.value.file == "assets/lain.js"


def test_a_name_means_one_thing() -> None:
    """Two modules with the same name at their top are refused: joined, one would take the other's place."""
    files = {
        "check/a.js": b'import { b } from "./b.js";\nfunction c() {}',
        "check/b.js": b"export const b = 1;\nfunction c() {}",
    }
    with pytest.raises(ContentError, match=r"c is a name at the top of b\.js, too"):
        join_modules(files, "a")


@pytest.mark.parametrize(
    "source",
    [
        'import fs from "fs";',
        'import { a } from "./none.js";',
        "export default 1;",
        "const [a] = [1];",
        'import { a } from "./round.js";',
        'export { a } from "./b.js";',
    ],
)
def test_what_cannot_be_joined_is_refused(source: str) -> None:
    """A module that imports or exports in another way, one that is missing, and one that needs itself are refused by name."""
    with pytest.raises(ContentError) as caught:
        join_modules({"check/round.js": source.encode()}, "round")
    assert str(caught.value.file).startswith("check/")


@pytest.mark.parametrize(
    "path",
    [
        "packs/hasil.html",
        "packs/1-1.tar.html",
        "packs/01-1.tar",
        "packs/id/1-1.tar",
        "packs/1-ppwp-1.tar.html",
        "packs/1-a-b-1.tar",
    ],
)
def test_a_page_among_the_packs_is_refused(path: str) -> None:
    """THREATS 15: below packs/ a reader is shown nothing but packs, whatever the keys of the role `site` have signed."""
    script = f"""import {{ Client }} from "{TEMPLATES}/check/tuf.js";
await new Client({{ store: new Map() }}).find("{path}").catch((error) => console.log(error.code));"""
    command = [require("node"), "--no-warnings", "--input-type=module", "-e", script]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "verification\n"


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "ppwp/1101/1101.html",
        "assets/terbit.css",
        "assets/terbit.js",
        "ppwp/0.json",
        "keys/minisign.pub",
        "embed/ppwp/0.html",
        "assets/periksa.html",
    ],
)
def test_the_worker_answers_with_the_servers_headers(path: str) -> None:
    """What the worker sends along with a file is what the server sends: types, policy and isolation."""
    code = f"import('{TEMPLATES / 'check/headers.js'}').then(m => console.log(JSON.stringify(m.headersFor('{path}'))))"
    done = subprocess.run([require("node"), "--no-warnings", "-e", code], check=True, capture_output=True, text=True)
    ours, servers = json.loads(done.stdout), headers_for(f"uji/{path}")
    assert {name: ours[name.lower()] for name in HEADERS} == {name: servers[name] for name in HEADERS}


def test_mirrors_are_listed_as_they_are_written() -> None:
    """Addresses go into mirrors.json; without the file the list is empty."""
    assert json.loads(mirrors_list(b'mirrors = ["https://cermin.example.org/uji/"]'))["mirrors"] == [
        "https://cermin.example.org/uji/"
    ]
    assert json.loads(mirrors_list(None)) == {"format": "terbit-mirrors-1", "mirrors": []}


@pytest.mark.parametrize(
    "data",
    [
        b"mirrors",
        b"mirrors = 1",
        b"other = []",
        b'mirrors = ["https://a.example/uji"]',
        b'mirrors = ["http://a.example/uji/"]',
        b'mirrors = ["https://a.example/?x/"]',
        b"mirrors = [" + b'"https://a.example/uji/",' * 33 + b"]",
    ],
)
def test_addresses_that_are_no_mirrors_are_refused(data: bytes) -> None:
    """Not TOML, another key, another scheme, no closing slash, a query, or too many: refused with the file's name."""
    with pytest.raises(ContentError, match=r"mirrors\.toml"):
        mirrors_list(data)
