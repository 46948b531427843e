"""`terbit keys` and `terbit sign` as an operator runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from publish.cli.keys import keys, sign
from publish.errors import KeyFileError, SigningError
from publish.signing import keystore
from publish.signing.keyring import Keyring
from publish.signing.keys import ONLINE_COST, SecretKey, read_secret_key, write_secret_key
from publish.signing.offline import Offline
from publish.workspace import Workspace
from tests.election import write_definition
from tests.programs import require
from tests.verifier.formats.tlog import WITNESS


def run(workspace: Path, *arguments: str, typed: str = "", fails: bool = False) -> Result:
    command, rest = (keys, arguments[1:]) if arguments[0] == "keys" else (sign, arguments[1:])
    at = 1 if command is keys else 0
    result = CliRunner().invoke(command, [*rest[:at], "-C", str(workspace), *rest[at:]], input=typed)
    if result.exception and not isinstance(result.exception, SystemExit) and not fails:
        raise result.exception
    return result


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A workspace without keys."""
    write_definition(tmp_path / "content")
    (tmp_path / "terbit.toml").write_text("workers = 1\n")
    return tmp_path


@pytest.fixture
def workspace(empty: Path) -> Path:
    """A workspace with unencrypted keys in force."""
    run(empty, "keys", "init", "--no-passphrase", "--no-offline-passphrase")
    return empty


def offline_keys(workspace: Path, *names: str) -> list[str]:
    return [word for name in names for word in ("--key", str(workspace / "keys" / "offline" / f"{name}.key"))]


def change_definition(workspace: Path) -> None:
    path = workspace / "content" / "election.toml"
    path.write_text(path.read_text() + "# changed\n")


def test_init_prints_each_public_key(workspace):
    """Init prints name and public key on stdout, and the root of trust is in force."""
    told = run(workspace, "keys", "list", "--json")
    listed = json.loads(told.stdout)
    assert [key["name"] for key in listed["keys"]][:3] == ["root-1", "root-2", "root-3"]
    assert list(listed["expires"]) == ["1.root.json", "1.targets.json", "1.trust.json"]
    assert listed["pending"] == []


def test_init_asks_for_each_passphrase_twice(empty, monkeypatch):
    """Typed passphrases close offline and online keys."""
    monkeypatch.setattr(keystore, "OFFLINE_COST", ONLINE_COST)
    result = run(empty, "keys", "init", typed="far\nfar\nnear\nnear\n")
    assert result.exit_code == 0
    assert "far" not in result.output
    read_secret_key(empty / "keys" / "offline" / "root-1.key", b"far")
    read_secret_key(empty / "keys" / "online" / "site.key", b"near")


def test_init_reads_passphrases_from_files(empty, tmp_path, monkeypatch):
    """A passphrase file's last line end does not belong to the passphrase."""
    monkeypatch.setattr(keystore, "OFFLINE_COST", ONLINE_COST)
    for name in ("far", "near"):
        (tmp_path / name).write_text(f"{name}\n")
    near, far = str(tmp_path / "near"), str(tmp_path / "far")
    result = run(empty, "keys", "init", "--passphrase-file", near, "--offline-passphrase-file", far)
    assert result.exit_code == 0
    read_secret_key(empty / "keys" / "offline" / "root-3.key", b"far")
    read_secret_key(empty / "keys" / "online" / "minisign.key", b"near")


@pytest.mark.parametrize("words", [["init"], ["rotate", "root-1"], ["list"]], ids=lambda words: words[0])
def test_a_medium_that_is_not_there_is_refused(empty, words):
    """A mistyped --offline-dir makes no folder and no key: offline keys would lie on this machine's disk, in force."""
    stick = empty / "media" / "stick"
    result = run(empty, "keys", *words, "--offline-dir", str(stick))
    assert result.exit_code == 2
    assert f"Directory '{stick}' does not exist." in result.stderr
    assert not stick.parent.exists()
    assert not (empty / "keys").exists()
    stick.mkdir(parents=True)
    assert (
        run(empty, "keys", "init", "--offline-dir", str(stick), "--no-passphrase", "--no-offline-passphrase").exit_code
        == 0
    )
    assert sorted(path.name for path in stick.iterdir()) == ["root-1.key", "root-2.key", "root-3.key"]


def test_init_twice_is_refused(workspace):
    """A second init ends with an error and names the commands that do what was meant."""
    result = run(workspace, "keys", "init", "--no-passphrase", "--no-offline-passphrase", fails=True)
    assert isinstance(result.exception, KeyFileError)
    assert "terbit keys rotate" in str(result.exception)


@pytest.mark.parametrize("written", [b"", b"\n", b"\r\n"], ids=["empty", "LF", "CR LF"])
def test_an_empty_passphrase_is_none(empty, written):
    """Keys that would look encrypted and be open to everybody are not made."""
    (empty / "passphrase").write_bytes(written)
    words = ["--no-offline-passphrase", "--passphrase-file", str(empty / "passphrase")]
    result = run(empty, "keys", "init", *words, fails=True)
    assert "holds no passphrase; write one into it, or give " in str(result.exception)
    assert not (empty / "keys").exists()


def test_lost_metadata_is_not_made_anew(workspace):
    """Where the first root is lost neither init nor any message leads to a second first root, which nobody trusts: the backup is asked for."""
    first = workspace / "keys" / "metadata" / "1.root.json"
    kept = first.read_bytes()
    first.unlink()
    result = run(workspace, "keys", "init", "--no-passphrase", "--no-offline-passphrase", fails=True)
    with pytest.raises(SigningError) as refused:
        Offline(workspace / "keys").current()
    for error in (result.exception, refused.value):
        assert "metadata is not whole" in str(error)
        assert "restore it from your backup" in str(error)
    assert not first.exists()
    first.write_bytes(kept)
    assert Offline(workspace / "keys").current().files


def test_refresh_says_when_nothing_changed(workspace):
    """Refresh without a change drafts nothing and exits with 0."""
    result = run(workspace, "keys", "refresh")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "Nothing to draft: the offline keys have signed this definition and these keys.\n"


def test_new_definition_is_drafted_shown_signed_and_in_force(workspace):
    """Refresh drafts, sign shows, sign with enough keys puts in force."""
    change_definition(workspace)
    result = run(workspace, "keys", "refresh")
    assert (result.exit_code, result.stdout) == (3, "2.trust.json\n")
    shown = run(workspace, "sign")
    assert shown.exit_code == 3
    assert "* trust/election.toml: sha256 " in shown.stdout
    one = run(workspace, "sign", "--yes", *offline_keys(workspace, "root-1"))
    assert "Waiting for offline signatures: 2.trust.json (1 of 2 signatures)." in one.stderr
    assert one.exit_code == 3
    two = run(workspace, "sign", "--yes", *offline_keys(workspace, "root-2"))
    assert "In force: 2.trust.json" in two.stderr
    assert two.exit_code == 0
    signed = Offline(workspace / "keys").current().files["trust/election.toml"]
    assert signed == (workspace / "content" / "election.toml").read_bytes()
    assert run(workspace, "sign").stderr == "Nothing waits for a signature.\n"


def test_publish_names_what_waits_and_the_command_for_it(workspace):
    """A changed definition asks for keys refresh; once its draft waits for signatures, for those; and for keys refresh where it changed again."""

    def said() -> str:
        with pytest.raises(SigningError) as refused:
            Keyring(Workspace(workspace)).check()
        return str(refused.value)

    changed = "content/election.toml is not what the offline keys signed"
    anew = f"{changed}; run: terbit keys refresh, then terbit sign with 2 offline keys"
    change_definition(workspace)
    assert said() == anew
    run(workspace, "keys", "refresh")
    waits = (
        f"{changed}: 2.trust.json ({{}} of 2 signatures) waits for them in keys/pending; run: terbit sign --key FILE"
    )
    assert said() == waits.format(0)
    run(workspace, "sign", "--yes", *offline_keys(workspace, "root-1"))
    assert said() == waits.format(1)
    change_definition(workspace)
    assert said() == anew


def test_before_any_keys_are_in_force_the_next_command_is_named(empty):
    """Without keys it is keys init; where another person has to sign the first root, sign."""
    with pytest.raises(SigningError, match=r"no keys are in force in .*; run: terbit keys init$"):
        Offline(empty / "keys").current()
    for name in ("root-2", "root-3"):
        path = empty / "keys" / "public" / f"{name}.pub"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SecretKey.generate(os.urandom).public.file_text())
    run(empty, "keys", "init", "--no-passphrase", "--no-offline-passphrase")
    with pytest.raises(
        SigningError, match=r"1\.root\.json \(1 of 2 signatures\), .* waits in .*; run: terbit sign --key"
    ):
        Offline(empty / "keys").current()


def test_sign_asks_before_it_signs(workspace):
    """Whoever does not say yes has signed nothing."""
    change_definition(workspace)
    run(workspace, "keys", "refresh")
    result = run(workspace, "sign", *offline_keys(workspace, "root-1", "root-2"), typed="n\n")
    assert result.exit_code == 1
    assert [file.metadata.signatures for file in Offline(workspace / "keys").pending()] == [{}]


def test_sign_asks_for_the_passphrase_of_encrypted_keys_only(workspace):
    """A key that stock minisign encrypted opens with the passphrase typed; an unencrypted one asks for none."""
    program = require("minisign")
    answer = b"secret\nsecret\n"
    command = [program, "-G", "-p", "keys/public/root-3.pub", "-s", "stick.key", "-f"]
    subprocess.run(command, cwd=workspace, input=answer, check=True, capture_output=True)
    run(workspace, "keys", "refresh")
    first = run(workspace, "sign", "--yes", *offline_keys(workspace, "root-1", "root-2"))
    assert "In force: 2.trust.json, 2.targets.json, 2.root.json" in first.stderr
    change_definition(workspace)
    run(workspace, "keys", "refresh")
    stick = ["--key", str(workspace / "stick.key")]
    second = run(workspace, "sign", "--yes", *offline_keys(workspace, "root-1"), *stick, typed="secret\n")
    assert "In force: 3.trust.json" in second.stderr


def test_rotate_drafts_what_the_new_key_needs(workspace):
    """Rotating prints the new public key and what waits, and exits with 3 for that; the old one is kept."""
    before = (workspace / "keys" / "public" / "timestamp.pub").read_text()
    result = run(workspace, "keys", "rotate", "timestamp", "--no-passphrase")
    after = (workspace / "keys" / "public" / "timestamp.pub").read_text()
    assert result.stdout == f"timestamp\t{after.splitlines()[1]}\n"
    assert "2.root.json, 2.trust.json" in result.stderr
    assert result.exit_code == 3
    assert (workspace / "keys" / "public" / "timestamp.1.pub").read_text() == before != after


@pytest.mark.parametrize("name", ["root-1", "timestamp", "minisign", "log"])
def test_list_shows_the_old_key_while_it_is_in_force(workspace, name):
    """Until the offline keys have signed a new key, list shows it as waiting and the one that it replaces as in force; afterwards the new one alone."""

    def listed() -> dict[str, bool]:
        told = json.loads(run(workspace, "keys", "list", "--json").stdout)["keys"]
        return {key["name"]: key["in_force"] for key in told if key["name"].startswith(name)}

    assert listed() == {name: True}
    run(workspace, "keys", "rotate", name, "--no-passphrase", "--no-offline-passphrase")
    assert listed() == {name: False, f"{name}.1": True}
    lines = [line for line in run(workspace, "keys", "list").stdout.splitlines() if line.startswith(name)]
    assert [line.endswith("not in force: waits for signatures") for line in lines] == [True, False]
    assert f"{name}.1.key" in lines[1]
    signers = ("root-1.1", "root-1", "root-2") if name == "root-1" else ("root-1", "root-2")
    run(workspace, "sign", "--yes", *offline_keys(workspace, *signers))
    assert listed() == {name: True}


@pytest.mark.parametrize("lost", ["public/site.pub", "public/timestamp.pub", "minisign.json", "tlog-policy.txt"])
def test_a_lost_public_file_is_copied_back(workspace, lost):
    """What names a public file that is lost gives the command that brings it back from what was signed; also where a new key waits for its signatures."""
    run(workspace, "keys", "rotate", "timestamp", "--no-passphrase")
    kept = (workspace / "keys" / lost).read_bytes()
    (workspace / "keys" / lost).unlink()
    told = str(run(workspace, "keys", "refresh", fails=True).exception)
    subprocess.run(told.partition("; run: ")[2], shell=True, check=True)  # what the operator is told
    assert (workspace / "keys" / lost).read_bytes() == kept
    assert run(workspace, "keys", "refresh").exit_code == 3


def test_a_key_without_a_say_is_named(workspace, tmp_path):
    """Who signs with a key that has no say is told which file that is, and which keys have one; of a file that is no key that it is none, whoever may read it."""
    change_definition(workspace)
    run(workspace, "keys", "refresh")
    online, other, text = workspace / "keys/online/site.key", tmp_path / "other.key", tmp_path / "notes.txt"
    write_secret_key(other, SecretKey.generate(os.urandom), None, ONLINE_COST, os.urandom)
    text.write_text("no key\n")
    for path, said in (
        (online, "is the key site, which has no say in 2.trust.json; those that have: root-1, root-2, root-3"),
        (other, "is no key of this workspace and has no say in 2.trust.json; those that have: root-1, root-2, root-3"),
        (text, "is not a minisign secret key"),
    ):
        told = str(run(workspace, "sign", "--yes", "--key", str(path), fails=True).exception)
        assert told.startswith(f"{path} {said}")


def test_rotate_of_an_unknown_key_is_a_usage_error(workspace):
    """A name that terbit.toml does not use is refused with the names that it does."""
    result = run(workspace, "keys", "rotate", "timestmp", "--no-passphrase")
    assert result.exit_code == 2
    assert "only root-1, root-2, root-3, site, results, snapshot, timestamp, minisign" in result.stderr


def test_no_terminal_to_ask_at(empty):
    """Where nobody can type a passphrase the options that give it are named, and nothing is made."""
    program = "from publish.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "keys", "init", "-C", str(empty)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "give --offline-passphrase-file FILE or --no-offline-passphrase" in done.stderr
    assert "Warning" not in done.stderr
    assert not (empty / "keys").exists()


def test_a_key_file_is_looked_at_before_anything_is_asked(workspace):
    """A key that is not there is wrong usage, without a question; a public key is named as one, and nobody is told to change who may read it."""
    change_definition(workspace)
    run(workspace, "keys", "refresh")
    gone = run(workspace, "sign", "--key", f"{workspace}/keys/offline/root-9.key")
    assert (gone.exit_code, "Sign this" in gone.output) == (2, False)
    public = workspace / "keys" / "public" / "root-1.pub"
    with pytest.raises(KeyFileError, match="is a public key"):
        run(workspace, "sign", "--yes", "--key", str(public))


def test_nobody_there_to_say_yes(workspace):
    """Where nobody can answer, the message names the option that spares the question, and nothing is signed."""
    change_definition(workspace)
    run(workspace, "keys", "refresh")
    with pytest.raises(SigningError, match="no terminal to ask at; give --yes"):
        run(workspace, "sign", *offline_keys(workspace, "root-1"))
    assert [file.metadata.signatures for file in Offline(workspace / "keys").pending()] == [{}]


def test_print_before_init(empty):
    """Without keys there is nothing to print, and the message says what comes first."""
    result = run(empty, "keys", "print", fails=True)
    assert result.stdout == ""
    assert "next: terbit keys init" in str(result.exception)


def test_list_before_init(empty):
    """Before there are keys the list says so, and what to run."""
    result = run(empty, "keys", "list")
    assert "(none yet)  -  root" in result.stdout
    assert result.stderr == "No keys are in force; next: terbit keys init\n"


def test_encrypted_key_without_passphrase_names_the_option(tmp_path):
    """An encrypted key that is opened without a passphrase says which option gives it."""
    path = tmp_path / "site.key"
    write_secret_key(path, SecretKey.generate(os.urandom), b"near", ONLINE_COST, os.urandom)
    with pytest.raises(KeyFileError, match="--passphrase-file FILE"):
        read_secret_key(path, None)


def test_missing_passphrase_file_names_it(empty):
    """A passphrase file that is not there is an error with its path."""
    result = run(empty, "keys", "init", "--no-offline-passphrase", "--passphrase-file", "nowhere", fails=True)
    assert isinstance(result.exception, KeyFileError)
    assert "nowhere cannot be read" in str(result.exception)
    assert not (empty / "keys").exists()


def test_a_new_policy_is_shown_in_words(workspace):
    """Sign tells which lines of the log's policy come and go, as what they mean."""
    policy = workspace / "keys" / "tlog-policy.txt"
    witness = f"witness saksi {WITNESS.encode()} https://saksi.example.org\n"
    policy.write_text(policy.read_text().replace("quorum none", f"{witness}group warga any saksi\nquorum warga"))
    run(workspace, "keys", "refresh")
    shown = run(workspace, "sign").stdout
    assert (
        f"  * from now on: the witness saksi with the key {WITNESS.encode()}, asked at https://saksi.example.org\n"
        in shown
    )
    assert "  * from now on: the group warga: 1 of saksi\n" in shown
    assert "  * from now on: no release is public before warga has seen it in the log\n" in shown
    assert "  * no longer: releases are public though no witness has seen them in the log\n" in shown
    assert "the log localhost" not in shown


ADDRESSES = {
    "https://results.ec.gov.gh/ghana-2028/": "results.ec.gov.gh/ghana-2028/log",
    "https://Results.EC.gov.gh:8443/2028/president/": "results.ec.gov.gh:8443/2028/president/log",
    "https://hasil.example.org/": "hasil.example.org/log",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_log_is_named_after_the_address(empty, address):
    """Where terbit.toml names no log, the first keys name it after the election's address; what changes later leaves the name as it was signed."""
    definition = empty / "content" / "election.toml"
    definition.write_text(f'address = "{address}"\n{definition.read_text()}')
    (empty / "terbit.toml").write_text(
        'workers = 1\n[targets.public]\nfolder = "public"\nurls = ["https://cermin.example.org/"]\n'
    )
    run(empty, "keys", "init", "--no-passphrase", "--no-offline-passphrase")
    assert Keyring(Workspace(empty)).log_key.name == ADDRESSES[address]
    definition.write_text(definition.read_text().replace(address, "https://lain.example.org/uji/"))
    (empty / "terbit.toml").write_text('workers = 1\n[log]\norigin = "lain.example.org/log"\n')
    run(empty, "keys", "refresh")
    run(empty, "keys", "rotate", "log", "--no-passphrase")
    assert run(empty, "sign", "-y", *offline_keys(empty, "root-1", "root-2")).exit_code == 0
    assert Keyring(Workspace(empty)).log_key.name == ADDRESSES[address]


@pytest.mark.parametrize(
    "address",
    [
        "https://[::1]/uji/",
        "https://x.id/a+b/",
        "https://x.id/a//b/",
        "https://x.id/?a=/",
        f"https://x.id/{'a' * 250}/",
    ],
)
def test_an_address_that_names_no_log_asks_for_a_name(empty, address):
    """An address with other characters than a log's name may have makes no keys: the name is asked for."""
    definition = empty / "content" / "election.toml"
    definition.write_text(f'address = "{address}"\n{definition.read_text()}')
    result = run(empty, "keys", "init", "--no-passphrase", "--no-offline-passphrase", fails=True)
    assert "name it in terbit.toml: [log] origin" in str(result.exception)
    assert not (empty / "keys").exists()


def test_list_says_what_the_keys_of_no_role_sign(workspace):
    """The keys minisign and log sign in no role, and list says what they are for."""
    listed = {key["name"]: key["roles"] for key in json.loads(run(workspace, "keys", "list", "--json").stdout)["keys"]}
    assert (listed["minisign"], listed["log"]) == ("results files", "the log's checkpoints")
