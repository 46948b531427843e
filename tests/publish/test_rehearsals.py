"""Keys of a rehearsal never sign for a real election, nor the other way round."""

import hashlib
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from publish.cli.main import terbit
from publish.errors import SigningError
from publish.signing.ceremony import make_plan
from publish.signing.keystore import KeyStore
from publish.signing.offline import Offline
from publish.signing.purpose import DEFINITION, check_purpose
from publish.workspace import Workspace
from tests.election import ELECTION, NIGHT
from tests.publish.workspace import deliver, make_workspace, publish

REAL = ELECTION.replace("test = true\n", "")
REHEARSAL = f"test = true\n{REAL}"
WAYS = [("a rehearsal", REHEARSAL, REAL), ("a real election", REAL, REHEARSAL)]


def make(folder: Path, definition: str) -> Path:
    """A workspace whose keys are in force for this definition."""
    directory = make_workspace(folder)
    for name in ("keys", "build", "ledger"):
        shutil.rmtree(directory / name, ignore_errors=True)
    (directory / "content" / "election.toml").write_text(definition)
    done = run(directory, "keys", "init", "--no-passphrase", "--no-offline-passphrase")
    assert done.exit_code == 0, done.output
    return directory


def run(directory: Path, *words: str) -> Result:
    return CliRunner().invoke(terbit, [*words, "-C", str(directory)])


def sign(directory: Path) -> Result:
    keys = [f"--key={directory / 'keys' / 'offline' / f'root-{number}.key'}" for number in (1, 2)]
    return run(directory, "sign", "-y", *keys)


@pytest.mark.parametrize(("purpose", "signed", "wanted"), WAYS, ids=[way[0] for way in WAYS])
def test_keys_serve_one_purpose(tmp_path: Path, purpose: str, signed: str, wanted: str) -> None:
    """THREATS 32: once keys are in force, refresh and publish refuse a definition of the other kind, and say how to go on; other changes are drafted."""
    directory = make(tmp_path / "work", signed)
    definition = directory / "content" / "election.toml"
    definition.write_text(wanted)
    done = run(directory, "keys", "refresh")
    assert isinstance(done.exception, SigningError)
    assert f"these keys are for {purpose}" in str(done.exception)
    assert "in a new workspace" in str(done.exception)
    assert not Offline(directory / "keys").pending()
    deliver(directory)
    with pytest.raises(SigningError):
        publish(directory)
    definition.write_text(f"{signed}# changed\n")
    assert run(directory, "keys", "refresh").exit_code == 3
    assert sign(directory).exit_code == 0


@pytest.mark.parametrize("content", [True, False], ids=["with the content", "with the keys alone"])
@pytest.mark.parametrize(("purpose", "signed", "wanted"), WAYS, ids=[way[0] for way in WAYS])
def test_signers_are_not_led_across(tmp_path: Path, purpose: str, signed: str, wanted: str, content: bool) -> None:
    """THREATS 32: a draft of the other kind in keys/pending, whoever drafted it, is neither shown nor signed, also on a machine that has only the keys."""
    directory = make(tmp_path / "work", signed)
    draft(directory, wanted)
    if not content:
        (directory / "content").rename(tmp_path / "elsewhere")
    before = {path.name: path.read_bytes() for path in (directory / "keys" / "pending").iterdir()}
    for done in (run(directory, "sign"), sign(directory)):
        assert isinstance(done.exception, SigningError)
        assert f"these keys are for {purpose}" in str(done.exception)
        assert done.stdout == ""
    assert {path.name: path.read_bytes() for path in (directory / "keys" / "pending").iterdir()} == before


def test_a_definition_that_nobody_can_read_is_not_signed(tmp_path: Path) -> None:
    """THREATS 32: a draft whose election.toml is not at hand, or is none, could be of either kind, and is not signed."""
    directory = make(tmp_path / "work", REAL)
    draft(directory, f"{REAL}# changed\n")
    (directory / "content").rename(tmp_path / "elsewhere")
    sha256 = hashlib.sha256(f"{REAL}# changed\n".encode()).hexdigest()
    (directory / "keys" / "trust" / sha256).unlink()
    assert isinstance(sign(directory).exception, SigningError)
    with pytest.raises(SigningError, match="cannot be read"):
        check_purpose(REAL.encode(), b"test")
    # Of 64 kB such a key took four gigabytes of the offline machine's memory; this one is so short that a test may fail.
    with pytest.raises(SigningError, match="a key of more than 16 parts"):
        check_purpose(REAL.encode(), b"test = true\n" + b"a." * 100 + b"a = 1\n")


def draft(directory: Path, definition: str) -> None:
    """What a stranger in the workspace could do: draft it, with the check taken out."""
    (directory / "content" / "election.toml").write_text(definition)
    workspace = Workspace(directory)
    files = workspace.definition.files
    plan = make_plan(KeyStore(workspace.keys, workspace.config), workspace.definition.election.groups, files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("publish.signing.offline.check_purpose", lambda *_: None)
        assert Offline(workspace.keys).prepare(plan, NIGHT) == ["2.trust.json"]


def test_a_definition_that_is_gone_is_no_way_across() -> None:
    """A trust without a definition counts as a real election's: nobody comes from a rehearsal to a real one in two steps."""
    with pytest.raises(SigningError):
        check_purpose(REHEARSAL.encode(), None)
    check_purpose(REAL.encode(), None)
    assert DEFINITION == "trust/election.toml"
