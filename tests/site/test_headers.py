"""The public site's headers before outside judges: Google's csp_evaluator and Mozilla's Observatory."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.scripts import scripts
from publish.serve import Server
from tests import servers
from tests.programs import require, require_package
from tests.site.conftest import PROJECT, Place
from verifier.headers import headers_for

HERE = Path(__file__).parent
MEDIUM = 50  # csp_evaluator's severities: the lower the worse; from 50 on "maybe", or a remark


def csp_evaluator(policy: str) -> list[tuple[int, str, str]]:
    """Severity, directive and text of each finding."""
    command = [require("node"), HERE / "csp_evaluator.mjs", require_package("csp_evaluator"), policy]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "ppwp/0.html",
        "ppwp/0.json",
        "embed/ppwp/0.html",
        "sw.js",
        "assets/periksa.html",
        "packages/1101/scan.pdf",
        "feed.atom",
    ],
)
def test_csp_evaluator(path: str) -> None:
    """csp_evaluator finds nothing in the policy of any kind of file but that scripts of one's own host could be uploads."""
    findings = csp_evaluator(headers_for(f"contoh/{path}")["Content-Security-Policy"])
    assert [one for one in findings if one[0] < MEDIUM] == []
    assert {directive for _, directive, _ in findings} <= {"script-src"}


@pytest.mark.parametrize("name", ["periksa", "periksa-luring"])
def test_csp_evaluator_of_the_checker_for_single_files(name: str) -> None:
    """The checker for single files has a policy of its own, too, in which csp_evaluator finds nothing above a remark."""
    sources = PROJECT / "site_templates"
    files = {path.relative_to(sources).as_posix(): path.read_bytes() for path in (sources / "check").iterdir()}
    page = dict(scripts(files))[f"assets/{name}.html"]
    (own,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="(.*?)">', page.decode())
    findings = csp_evaluator(own)
    assert [one for one in findings if one[0] < MEDIUM] == []
    assert {directive for _, directive, _ in findings} <= ({"script-src"} if name == "periksa" else set())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return servers.certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def secure(place: Place, certificate: Path) -> Iterator[Server]:
    """What `terbit serve` serves, over TLS, as a public site's front would."""
    with servers.serving(servers.secure(Server(place.folder.parent, "127.0.0.1", 0), certificate)) as server:
        yield server


@pytest.mark.parametrize("path", ["index.html", "ppwp/0.html", "ppwp/1101/1101012001.html", "en/ppwp/11.html"])
def test_observatory(path: str, secure: Server, certificate: Path) -> None:
    """Mozilla's Observatory gives each kind of page A+ with 130 points or more, and every one of its tests passes."""
    package = require_package("@mdn/mdn-http-observatory")
    command = [require("node"), HERE / "observatory.mjs", package, str(secure.server_address[1]), f"/contoh/{path}"]
    # A proxy of this machine has no way to its own loopback address.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment["NODE_EXTRA_CA_CERTS"] = str(certificate)
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["status"], found["grade"]) == (200, "A+")
    assert found["score"] >= 130, found["marks"]
    assert all(mark["pass"] for mark in found["marks"]), found["marks"]
