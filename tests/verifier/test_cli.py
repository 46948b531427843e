import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from nacl.signing import SigningKey

from tests.servers import serving
from tests.verifier.site_simulator import ELECTION, NOW, A, B, SiteServer, SiteSimulator, rotate, sha256
from verifier.cli.main import main
from verifier.trust import state_home

PROJECT = Path(__file__).parents[2]
OK, ERROR, USAGE, FAILED, STALE = 0, 1, 2, 4, 5


def run(*arguments: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=env)


@pytest.fixture
def downloaded(site: SiteSimulator, tmp_path: Path) -> Path:
    """One results file with its signature, as a citizen downloads it."""
    file = tmp_path / "1101.json"
    file.write_bytes(site.tree[A])
    (tmp_path / "1101.json.minisig").write_bytes(site.tree[A + ".minisig"])
    (tmp_path / "minisign.pub").write_text(site.public_key().file_text())
    return file


def test_a_file_is_checked(site: SiteSimulator, downloaded: Path) -> None:
    """A file with its signature holds, with the bare key or the key's file, and says what was not checked."""
    for key in (["--key", site.public_key().encode()], ["--key-file", downloaded.with_name("minisign.pub")]):
        result = run("file", downloaded, *key)
        assert result.exit_code == OK, result.output
        assert f"Checked: {A} of election {ELECTION}, release 1" in result.stdout
        assert "Not checked: whether a newer release has changed it" in result.stdout


def test_a_files_outcome_as_json(site: SiteSimulator, downloaded: Path) -> None:
    """`--json` gives one object, for a file that holds and for one that does not."""
    key = ["--key", site.public_key().encode(), "--json"]
    report = json.loads(run("file", downloaded, *key).stdout)
    assert report == {"verified": True, "file": A, "election": ELECTION, "release": 1, "key": site.public_key().name,
                      "sha256": sha256(site.tree[A])}  # fmt: skip
    downloaded.write_bytes(site.tree[B])
    result = run("file", downloaded, *key)
    assert result.exit_code == FAILED
    assert json.loads(result.stdout)["verified"] is False


def renamed(site: SiteSimulator, file: Path) -> None:
    """Village 1201's file and signature, under the name of village 1101."""
    file.write_bytes(site.tree[B])
    file.with_name(file.name + ".minisig").write_bytes(site.tree[B + ".minisig"])


def other_bytes(site: SiteSimulator, file: Path) -> None:
    file.write_bytes(site.tree[A].replace(b"[1,2]", b"[2,1]"))


def other_signature(site: SiteSimulator, file: Path) -> None:
    file.with_name(file.name + ".minisig").write_bytes(site.tree[B + ".minisig"])


def other_key(site: SiteSimulator, file: Path) -> None:
    site.minisign = SigningKey(b"\x08" * 32)
    file.with_name(file.name + ".minisig").write_bytes(site.minisig(A, site.tree[A]))
    site.minisign = SigningKey(b"\x07" * 32)


def other_path_in_json(site: SiteSimulator, file: Path) -> None:
    data = site.results(B)
    file.write_bytes(data)
    file.with_name(file.name + ".minisig").write_bytes(site.minisig(A, data))


def not_a_signature(site: SiteSimulator, file: Path) -> None:
    file.with_name(file.name + ".minisig").write_bytes(b"\x1b[2J")


def endless_signature(site: SiteSimulator, file: Path) -> None:
    file.with_name(file.name + ".minisig").write_bytes(b"a" * 1_000_000)


@pytest.mark.parametrize(
    "attack",
    [renamed, other_bytes, other_signature, other_key, other_path_in_json, not_a_signature, endless_signature],
)
def test_attacks_on_a_file(attack: Callable, site: SiteSimulator, downloaded: Path) -> None:
    """Each change to a file, its name or its signature ends with status 4."""
    attack(site, downloaded)
    result = run("file", downloaded, "--key", site.public_key().encode())
    assert result.exit_code == FAILED, result.output
    assert result.stdout == ""
    assert "\x1b" not in result.stderr


def test_a_renamed_download_can_be_checked(site: SiteSimulator, downloaded: Path) -> None:
    """`--any-name` checks a file that its reader renamed."""
    renamed(site, downloaded)
    result = run("file", downloaded, "--key", site.public_key().encode(), "--any-name")
    assert result.exit_code == OK
    assert f"Checked: {B}" in result.stdout


@pytest.mark.parametrize("words", [["--key", "{key}"], ["--proof", "{site}"]], ids=["signature", "proof"])
def test_a_page_has_no_signature_of_its_own(site: SiteSimulator, tmp_path: Path, words: list[str]) -> None:
    """A page is wrong usage of `file`, which says who checks it, and never that it was not published."""
    page = tmp_path / "0.html"
    page.write_bytes(site.tree["index.html"])
    place = {"key": site.public_key().encode(), "site": str(site.write(tmp_path / "site"))}
    result = run("file", page, *(word.format(**place) for word in words))
    assert result.exit_code == USAGE
    assert "terbit-verify site" in result.stderr
    assert "not what was published" not in result.stderr


def test_wrong_usage_of_file(downloaded: Path) -> None:
    """No key, two, or one that is none, is wrong usage; a missing signature could not be checked."""
    assert run("file", downloaded).exit_code == USAGE
    assert run("file", downloaded, "--key", "x", "--key-file", downloaded).exit_code == USAGE
    assert run("file", downloaded, "--key", "RWxx").exit_code == USAGE
    key = ["--key-file", downloaded.with_name("minisign.pub")]
    downloaded.with_name("1101.json.minisig").unlink()
    assert run("file", downloaded, *key).exit_code == ERROR


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


def at(site: SiteSimulator) -> list[str]:
    return ["--now", f"{site.now:%Y-%m-%dT%H:%M:%SZ}"]


def fingerprint(site: SiteSimulator) -> str:
    return sha256(site.tree["metadata/1.root.json"])


def test_trust_must_be_named_once(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """Without a root the check is refused as wrong usage; once one was named, the same place needs it no more."""
    folder = site.write(tmp_path / "public")
    result = run("site", folder, *at(site), env=environment)
    assert result.exit_code == USAGE
    assert "--root-sha256" in result.stderr
    assert run("site", folder, "--root-sha256", fingerprint(site).upper(), *at(site), env=environment).exit_code == OK
    assert run("site", folder, *at(site), env=environment).exit_code == OK
    other = SiteSimulator().write(tmp_path / "other")
    assert run("site", other, *at(site), env=environment).exit_code == USAGE


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe{", b"{}", b"\0" * 50], ids=["empty", "no text", "no root", "NUL"])
@pytest.mark.parametrize("damaged", ["places/*", "roots/*/root.json"])
def test_a_damaged_memory_is_no_failed_site(
    site: SiteSimulator, tmp_path: Path, environment: dict[str, str], damaged: str, damage: bytes
) -> None:
    """Where the own memory of whom to trust is damaged, that is asked for again: it was a traceback, or said that the site does not verify."""
    folder = site.write(tmp_path / "public")
    trusted = ["--root-sha256", fingerprint(site)]
    assert run("site", folder, *trusted, *at(site), env=environment).exit_code == OK
    (file,) = (tmp_path / "state" / "terbit").glob(damaged)
    file.write_bytes(damage)
    result = run("site", folder, *at(site), env=environment)
    assert result.exit_code == USAGE
    assert "nothing says which keys may sign" in result.stderr
    assert run("site", folder, *trusted, *at(site), env=environment).exit_code == OK
    assert run("site", folder, *at(site), env=environment).exit_code == OK


def test_a_wrong_fingerprint_is_refused(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """A root that does not have the printed fingerprint is refused, and nothing is remembered."""
    folder = site.write(tmp_path / "public")
    result = run("site", folder, "--root-sha256", "0" * 64, *at(site), env=environment)
    assert result.exit_code == FAILED
    assert fingerprint(site) in result.stderr
    assert run("site", folder, *at(site), env=environment).exit_code == USAGE


def test_a_site_that_fails_is_not_remembered(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """A place is remembered only after its metadata has verified; an expired one is told with its release and its end."""
    folder = site.write(tmp_path / "public")
    late = ["--now", f"{NOW + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"]
    result = run("site", folder, "--root-sha256", fingerprint(site), *late, env=environment)
    assert result.exit_code == STALE
    assert "(release 1; timestamp ended 2026-11-21 05:30 UTC" in result.stderr
    assert run("site", folder, *at(site), env=environment).exit_code == USAGE


def test_a_mirror_may_not_be_older(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """State belongs to the root: who saw release 2 at the origin refuses release 1 from a mirror."""
    mirror = site.write(tmp_path / "mirror")
    site.next_release()
    origin = site.write(tmp_path / "origin")
    trust = ["--root-sha256", fingerprint(site)]
    assert run("site", origin, *trust, *at(site), env=environment).exit_code == OK
    result = run("site", mirror, *trust, *at(site), env=environment)
    assert result.exit_code == FAILED
    assert "rolled back" in result.stderr


def respelled(root: bytes) -> bytes:
    return json.dumps(json.loads(root), indent=1).encode()


def with_another_signature(root: bytes) -> bytes:
    document = json.loads(root)
    document["signatures"].append({"keyid": "0" * 64, "sig": "00"})
    return json.dumps(document).encode()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("spell", [bytes, respelled, with_another_signature])
def test_another_spelling_of_the_root_forgets_nothing(
    spell: Callable[[bytes], bytes], version: int, site: SiteSimulator, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Who saw release 2 refuses release 1 from whichever root of the same line, in whichever bytes, is named later."""
    rotate(site)
    mirror = site.write(tmp_path / "mirror")
    site.next_release()
    origin = site.write(tmp_path / "origin")
    assert run("site", origin, "--root-sha256", fingerprint(site), *at(site), env=environment).exit_code == OK
    root = tmp_path / "root.json"
    root.write_bytes(spell(site.tree[f"metadata/{version}.root.json"]))
    result = run("site", mirror, "--root", root, *at(site), env=environment)
    assert result.exit_code == FAILED
    assert "rolled back" in result.stderr


def test_another_election_takes_no_memory_away(
    site: SiteSimulator, tmp_path: Path, environment: dict[str, str]
) -> None:
    """A state folder that was named for one election is refused for another, and still knows what it saw."""
    older = site.write(tmp_path / "older")
    site.next_release()
    newer, other = site.write(tmp_path / "newer"), SiteSimulator()
    elsewhere, state = other.write(tmp_path / "other"), ("--state", tmp_path / "state")
    roots = [("--root-sha256", fingerprint(one)) for one in (site, other)]
    assert run("site", newer, *roots[0], *state, *at(site), env=environment).exit_code == OK
    refused = run("site", elsewhere, *roots[1], *state, *at(other), env=environment)
    assert (refused.exit_code, "under another root" in refused.stderr) == (ERROR, True)
    result = run("site", older, *roots[0], *state, *at(site), env=environment)
    assert (result.exit_code, "rolled back" in result.stderr) == (FAILED, True)


def changed(root: bytes) -> bytes:
    document = json.loads(root)
    document["signed"]["expires"] = "2036-01-01T00:00:00Z"
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "root",
    [b"", b"[]", b'{"signed":{"version":1}}', b'{"signed":{"version":"../1"}}', b'{"signed":{"version":1,"x":"\\ud800"}}',
     changed(SiteSimulator().tree["metadata/1.root.json"])],
    ids=["empty", "list", "no-keys", "version-is-a-path", "lone-surrogate", "forged"],
)  # fmt: skip
def test_a_root_that_is_none_reaches_no_state(
    root: bytes, site: SiteSimulator, tmp_path: Path, environment: dict[str, str]
) -> None:
    """A root that says something else, or nothing, is refused and changes no state of an earlier check."""
    folder = site.write(tmp_path / "public")
    assert run("site", folder, "--root-sha256", fingerprint(site), *at(site), env=environment).exit_code == OK
    states = tmp_path / "state" / "terbit" / "roots"
    before = {file: file.read_bytes() for file in states.rglob("*.json")}
    (tmp_path / "root.json").write_bytes(root)
    assert run("site", folder, "--root", tmp_path / "root.json", *at(site), env=environment).exit_code == FAILED
    assert {file: file.read_bytes() for file in states.rglob("*.json")} == before


def test_a_rehearsals_root_is_not_used_elsewhere(tmp_path: Path, environment: dict[str, str]) -> None:
    """A site that serves another election's root, once trusted at another place, is refused."""
    rehearsal, real = SiteSimulator(), SiteSimulator()
    folder = rehearsal.write(tmp_path / "rehearsal")
    assert run("site", folder, "--root-sha256", fingerprint(rehearsal), *at(real), env=environment).exit_code == OK
    folder = real.write(tmp_path / "real")
    assert run("site", folder, "--root-sha256", fingerprint(real), *at(real), env=environment).exit_code == OK
    rehearsal.write(folder)
    assert run("site", folder, *at(real), env=environment).exit_code == FAILED


def test_state_can_lie_elsewhere(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """`--state` keeps trust and versions in a folder of the user's choice."""
    folder = site.write(tmp_path / "public")
    state = ["--state", tmp_path / "mine"]
    assert run("site", folder, *state, *at(site), env=environment).exit_code == USAGE
    assert run("site", folder, *state, "--root-sha256", fingerprint(site), *at(site), env=environment).exit_code == OK
    assert run("site", folder, *state, *at(site), env=environment).exit_code == OK
    assert not (tmp_path / "state").exists()


def test_the_domains_folder_will_do(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """DIR may hold exactly one election; none or two are wrong usage."""
    (tmp_path / "public").mkdir()
    trust = ["--root-sha256", fingerprint(site), *at(site)]
    assert run("site", tmp_path / "public", *trust, env=environment).exit_code == USAGE
    site.write(tmp_path / "public" / ELECTION)
    assert run("site", tmp_path / "public", *trust, env=environment).exit_code == OK
    site.write(tmp_path / "public" / "pemilu-2024")
    result = run("site", tmp_path / "public", *trust, env=environment)
    assert result.exit_code == USAGE
    assert "pemilu-2024" in result.stderr


def test_a_mirrors_folder_will_do(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """Where a folder is named, that of a mirror is one, too: what it serves is looked at."""
    site.write(tmp_path / "mirror" / "public" / ELECTION)
    trust = ["--root-sha256", fingerprint(site), *at(site)]
    assert run("site", tmp_path / "mirror", *trust, env=environment).exit_code == USAGE
    (tmp_path / "mirror" / "mirror.toml").touch()
    assert run("site", tmp_path / "mirror", *trust, env=environment).exit_code == OK


def test_the_domain_is_not_the_election(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """Whoever names the address of the domain, to check or to mirror it, is told that the election's own is wanted."""
    trust = ["--root-sha256", fingerprint(site)]
    with serving(SiteServer({})) as server:
        for words in (["site", server.url], ["mirror", "init", tmp_path / "mirror", server.url]):
            result = run(*words, *trust, env=environment)
            assert result.exit_code == ERROR
            assert "name the election's own folder, like https://" in result.stderr


def test_a_wrong_address_and_a_wrong_root_are_told(
    site: SiteSimulator, tmp_path: Path, environment: dict[str, str]
) -> None:
    """With a root at hand a wrong address is told as without one; a file that is no root is named, and which one is wanted."""
    (tmp_path / "1.root.json").write_bytes(site.tree["metadata/1.root.json"])
    (tmp_path / "terbit.toml").write_bytes(b"workers = 1\n")
    with serving(SiteServer({})) as server:
        result = run("site", server.url, "--root", tmp_path / "1.root.json", env=environment)
    assert result.exit_code == ERROR
    assert "name the election's own folder, like https://" in result.stderr
    result = run("site", site.write(tmp_path / "site"), "--root", tmp_path / "terbit.toml", env=environment)
    assert result.exit_code == FAILED
    assert f"{tmp_path / 'terbit.toml'} is no root metadata; give the election's root.json" in result.stderr


def test_a_mirror_of_another_root_is_not_begun(
    site: SiteSimulator, tmp_path: Path, environment: dict[str, str]
) -> None:
    """A wrong fingerprint is told as such where a mirror is made, and no mirror is left."""
    place, given = site.write(tmp_path / "public"), "0" * 64
    result = run("mirror", "init", tmp_path / "mirror", place, "--root-sha256", given, env=environment)
    assert result.exit_code == FAILED
    assert f"has sha256 {fingerprint(site)}, not the fingerprint {given}: compare both" in result.stderr
    assert not (tmp_path / "mirror" / "mirror.toml").exists()


@pytest.mark.parametrize("place", ["ftp://example.org/x", "file:///etc", "/no/such/folder"])
def test_other_places_are_wrong_usage(place: str) -> None:
    """Only folders, http and https are places."""
    assert run("site", place).exit_code == USAGE


def test_both_kinds_of_root_are_wrong_usage(site: SiteSimulator, tmp_path: Path) -> None:
    """--root and --root-sha256 exclude each other."""
    folder = site.write(tmp_path / "public")
    root = folder / "metadata" / "1.root.json"
    assert run("site", folder, "--root", root, "--root-sha256", fingerprint(site)).exit_code == USAGE


@pytest.mark.parametrize("text", ["", "9f86d0…", "0" * 63, "0" * 65, "g" * 64])
def test_half_a_fingerprint_is_wrong_usage(text: str, site: SiteSimulator, tmp_path: Path) -> None:
    """A fingerprint that is not 64 hex digits was mistyped: no verdict on the site."""
    result = run("site", site.write(tmp_path / "public"), "--root-sha256", text)
    assert result.exit_code == USAGE
    assert "64 hex digits" in result.stderr


def test_an_unreachable_site_could_not_be_checked(
    site: SiteSimulator, tmp_path: Path, environment: dict[str, str]
) -> None:
    """A place without an election's metadata ends with status 1, which is not a verdict."""
    root = tmp_path / "root.json"
    root.write_bytes(site.tree["metadata/1.root.json"])
    with serving(SiteServer({})) as server:
        result = run("site", server.url, "--root", root, "--json", env=environment)
    assert result.exit_code == ERROR
    assert json.loads(result.stdout)["verified"] is False


def test_a_dead_host_is_told_in_plain_words(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """A host that does not answer is an error with the system's reason, without the insides of the HTTP library."""
    with serving(SiteServer({})) as server:
        url = server.url
    result = run("site", url, "--root-sha256", fingerprint(site), env=environment)
    assert result.exit_code == ERROR
    assert "could not be fetched: Failed to establish a new connection: [Errno 111] Connection refused" in result.stderr


def test_the_report_says_what_was_left_out(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """Plain words name what was checked, what was not, the release and its time."""
    folder = site.write(tmp_path / "public")
    trust = ["--root-sha256", fingerprint(site), *at(site)]
    output = run("site", folder, *trust, env=environment).stdout
    assert "release 1, signed as current until 2026-11-21 05:30:00 UTC" in output
    assert "Not checked: minisign signatures" in output
    assert output.endswith("Everything checked is what was published\n")
    output = run("site", folder, *trust, "--objects-only", "--signatures", env=environment).stdout
    assert "3 minisign signatures" in output
    assert "Not checked: their copies at the paths that browsers use" in output


def test_failures_as_json(site: SiteSimulator, tmp_path: Path, environment: dict[str, str]) -> None:
    """`--json` lists each failure with its path and both hashes."""
    path = site.object_of(A)
    expected, site.tree[path] = site.tree[path], site.tree[path].replace(b"1", b"2", 1)
    folder = site.write(tmp_path / "public")
    result = run(
        "site", folder, "--json", "--objects-only", "--root-sha256", fingerprint(site), *at(site), env=environment
    )
    assert result.exit_code == FAILED
    assert json.loads(result.stdout)["failures"] == [
        {"path": path, "what": "wrong sha256", "expected": sha256(expected), "got": sha256(site.tree[path])}
    ]
    told = run("site", folder, "--objects-only", "--root-sha256", fingerprint(site), *at(site), env=environment)
    assert told.stdout.endswith("NOT what was published: 1 failure\n")


@pytest.mark.parametrize(
    ("home", "expected"),
    [("/var/state", "/var/state/terbit"), ("relative", "~/.local/state/terbit"), ("", "~/.local/state/terbit")],
)
def test_state_follows_xdg(home: str, expected: str) -> None:
    """XDG_STATE_HOME counts if it is absolute, as its specification says."""
    assert state_home({"XDG_STATE_HOME": home}) == Path(os.path.expanduser(expected))


def test_help_loads_nothing_heavy() -> None:
    """`--help` answers without python-tuf, urllib3, rich, msgspec or PyNaCl."""
    code = (
        "import sys; from verifier.cli.main import main; main(['--help'], standalone_mode=False);"
        "sys.exit(bool({'tuf', 'urllib3', 'rich', 'msgspec', 'nacl'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=False).returncode == 0


def test_the_verifier_stands_alone() -> None:
    """Nothing of builder or publish, and none of their engines, is imported by any module of the verifier but the audit's."""
    code = (
        "import importlib, pkgutil, sys, verifier;"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(verifier.__path__, 'verifier.')"
        " if not m.name.startswith('verifier.audit')];"
        "sys.exit(bool({'builder', 'publish', 'boto3', 'polars', 'jinja2', 'markdown', 'nh3'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=False).returncode == 0


def test_a_large_site_is_read_by_processes(
    site: SiteSimulator, tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes give the same report as one thread, failures included."""
    site.tree[site.object_of(A)] += b" "
    folder = site.write(tmp_path / "public")
    arguments = ["site", folder, "--json", "--root-sha256", fingerprint(site), *at(site)]
    alone = run(*arguments, env=environment)
    monkeypatch.setattr("verifier.cli.places.LARGE_SITE_ROLES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    together = run(*arguments, env=environment)
    assert together.exit_code == alone.exit_code == FAILED
    assert together.stdout == alone.stdout
