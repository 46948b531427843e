"""Whoever can write into keys/pending/ gets nothing signed that the signers are not shown."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from publish.errors import SigningError
from publish.signing import ceremony
from publish.signing.keys import SecretKey
from publish.signing.offline import Offline
from publish.signing.repository import delegated_paths, tuf_key
from tests.publish.test_offline import DEFINITION, GROUPS, Workspace, snapshot
from tests.publish.workspace import make_workspace

Signed = dict[str, Any]
STRANGER = SecretKey.generate(os.urandom)


@pytest.fixture
def waiting(tmp_path: Path) -> Workspace:
    """A workspace whose root, targets and trust wait for signatures."""
    (tmp_path / "keys").mkdir()
    made = Workspace(tmp_path / "keys")
    made.initialize()
    for name in ("root-1", "root-2"):
        made.rotate(name)
    assert made.prepare() == ["2.root.json", "2.targets.json", "2.trust.json"]
    return made


def tamper(workspace: Workspace, role: str, change: Callable[[Signed], object]) -> None:
    path = workspace.store.directory / "pending" / f"2.{role}.json"
    metadata = json.loads(path.read_bytes())
    change(metadata["signed"])
    path.write_text(json.dumps(metadata))


def swap_key(keys: dict[str, Signed], keyid: str) -> None:
    keys[keyid]["keyval"]["public"] = STRANGER.public.key.hex()


def add_key(keys: dict[str, Signed]) -> str:
    key = tuf_key(STRANGER.public)
    keys[key.keyid] = key.to_dict()
    return key.keyid


def role_of(signed: Signed, name: str) -> Signed:
    found: Signed = next(role for role in signed["delegations"]["roles"] if role["name"] == name)
    return found


def delegate(signed: Signed, name: str) -> None:
    signed["delegations"]["roles"].append({**role_of(signed, "ppwp"), "name": name, "paths": delegated_paths(name)})


def list_as(signed: Signed, path: str) -> None:
    signed["targets"][path] = signed["targets"]["trust/election.toml"]


ATTACKS: dict[str, tuple[str, Callable[[Signed], object], str]] = {
    "root-swapped-key": ("root", lambda s: swap_key(s["keys"], s["roles"]["root"]["keyids"][0]), "is not the hash"),
    "root-swapped-timestamp-key": (
        "root",
        lambda s: swap_key(s["keys"], s["roles"]["timestamp"]["keyids"][0]),
        "is not the hash",
    ),
    "root-spare-key": ("root", lambda s: add_key(s["keys"]), r"signed\.keys\.[0-9a-f]{64} is"),
    "root-other-scheme": (
        "root",
        lambda s: next(iter(s["keys"].values())).update(scheme="x"),
        "is damaged|not the hash",
    ),
    "root-key-missing": ("root", lambda s: s["keys"].pop(s["roles"]["root"]["keyids"][0]), "is damaged|missing or not"),
    "root-no-hash-names": ("root", lambda s: s.update(consistent_snapshot=False), r"consistent_snapshot is false"),
    "root-more-fields": ("root", lambda s: s.update(note="x"), 'note is "x", not null'),
    "root-threshold-of-none": ("root", lambda s: s["roles"]["root"].update(threshold=4), "cannot be reached"),
    "root-version-ahead": ("root", lambda s: s.update(version=9), "not what its name says"),
    "targets-wider-paths": ("targets", lambda s: role_of(s, "site")["paths"].append("*/*/*"), r"roles\[1\]\.paths is"),
    "targets-not-terminating": ("targets", lambda s: role_of(s, "trust").update(terminating=False), "terminating is"),
    "targets-site-first": ("targets", lambda s: s["delegations"]["roles"].reverse(), "not to trust, site"),
    "targets-glob-as-group": ("targets", lambda s: delegate(s, "*"), "not to trust, site"),
    "targets-shard": ("targets", lambda s: delegate(s, "ppwp-1101"), "not to trust, site"),
    "targets-swapped-key": (
        "targets",
        lambda s: swap_key(s["delegations"]["keys"], role_of(s, "site")["keyids"][0]),
        "is not the hash",
    ),
    "targets-path-hashes": (
        "targets",
        lambda s: role_of(s, "site").update(path_hash_prefixes=[""], paths=None),
        r"path_hash_prefixes is \[\"\"\], not null",
    ),
    "targets-hash-bins": (
        "targets",
        lambda s: s.update(
            delegations={
                "keys": s["delegations"]["keys"],
                "succinct_roles": {"keyids": [], "threshold": 1, "bit_length": 1, "name_prefix": "bin"},
            }
        ),
        "not to trust, site",
    ),
    "targets-no-delegations": ("targets", lambda s: s.pop("delegations"), "not to trust, site"),
    "targets-lists-a-file": (
        "targets",
        lambda s: s["targets"].update({"index.html": {"length": 1, "hashes": {"sha256": "0" * 64}}}),
        r"signed\.targets\.index\.html is",
    ),
    "trust-delegates": ("trust", lambda s: s.update(delegations={"keys": {}, "roles": []}), "delegations is"),
    "trust-escape-sequence": ("trust", lambda s: list_as(s, "trust/x\x1b[1A\x1b[2K"), "no plain file"),
    "trust-outside": ("trust", lambda s: list_as(s, "index.html"), "no plain file"),
    "trust-dots": ("trust", lambda s: list_as(s, "trust/.."), "no plain file"),
    "trust-weaker-hash": (
        "trust",
        lambda s: s["targets"]["trust/election.toml"]["hashes"].update(md5="0" * 32),
        "hashes.md5 is",
    ),
    "trust-without-hash": (
        "trust",
        lambda s: s["targets"]["trust/election.toml"].update(hashes={"md5": "0" * 32}),
        "hashes.md5 is",
    ),
    "trust-custom": (
        "trust",
        lambda s: s["targets"]["trust/election.toml"].update(custom={"x": 1}),
        "custom is",
    ),
}


@pytest.mark.parametrize(("role", "change", "message"), ATTACKS.values(), ids=ATTACKS)
def test_hostile_draft_is_neither_shown_nor_signed(
    waiting: Workspace, role: str, change: Callable[[Signed], object], message: str
) -> None:
    """A draft that Terbit could not have made is refused by name and field before anything is shown or signed."""
    tamper(waiting, role, change)
    before = snapshot(waiting.store.directory)
    with pytest.raises(SigningError, match=rf"2\.{role}\.json.*({message})"):
        list(ceremony.describe(waiting.offline, waiting.offline.pending(), {}))
    with pytest.raises(SigningError, match=rf"2\.{role}\.json.*({message})"):
        waiting.sign("root-1", "root-3")
    assert snapshot(waiting.store.directory) == before


SHOWN: dict[str, tuple[str, Callable[[Signed], object], str]] = {
    "root-lower-threshold": ("root", lambda s: s["roles"]["root"].update(threshold=1), "* root: 1 of "),
    "root-strangers-key": (
        "root",
        lambda s: (
            s["roles"]["timestamp"]["keyids"].__setitem__(0, add_key(s["keys"]))
            or s["keys"].pop(tuf_key(TIMESTAMP).keyid)
        ),
        f"unknown key {tuf_key(STRANGER.public).keyid}: Ed25519 {STRANGER.public.key.hex()}",
    ),
    "targets-new-group": ("targets", lambda s: delegate(s, "dpd"), "* dpd may sign: dpd/*, dpd/*/*, dpd-*/*,"),
    "trust-other-areas": (
        "trust",
        lambda s: s["targets"]["trust/areas.csv.gz"]["hashes"].update(sha256="0" * 64),
        "* trust/areas.csv.gz: sha256 " + "0" * 64,
    ),
}
TIMESTAMP = SecretKey.generate(os.urandom).public


@pytest.mark.parametrize(("role", "change", "line"), SHOWN.values(), ids=SHOWN)
def test_what_a_draft_may_say_is_shown_and_compared(
    waiting: Workspace, role: str, change: Callable[[Signed], object], line: str
) -> None:
    """A change that Terbit could have drafted is shown as a change, and refused where the plan is at hand."""
    waiting.store.public_path("timestamp").write_text(TIMESTAMP.file_text())
    waiting.prepare()
    tamper(waiting, role, change)
    pending = waiting.offline.pending()
    told = list(ceremony.describe(waiting.offline, pending, ceremony.known_keys(waiting.store)))
    assert any(line in one for one in told)
    with pytest.raises(SigningError, match=rf"2\.{role}\.json: signed\..*have it: terbit keys refresh"):
        waiting.offline.check(pending, waiting.plan())
    assert waiting.prepare()
    waiting.offline.check(waiting.offline.pending(), waiting.plan())


@pytest.mark.parametrize("version", [1, 4])
def test_only_the_next_version_is_signed(waiting: Workspace, version: int) -> None:
    """No second file under a version that is in force, and none so far ahead that later ones have no number."""
    folder = waiting.store.directory / "pending"
    metadata = json.loads((folder / "2.trust.json").read_bytes())
    metadata["signed"]["version"] = version
    (folder / f"{version}.trust.json").write_text(json.dumps(metadata))
    with pytest.raises(SigningError, match=rf"{version}\.trust\.json: the next version is 2"):
        waiting.sign("root-1", "root-3")


def test_every_honest_draft_may_be_signed(waiting: Workspace) -> None:
    """What Terbit drafts passes its own check, and is what it would draft again."""
    waiting.offline.check(waiting.offline.pending(), ceremony.make_plan(waiting.store, GROUPS, DEFINITION))


def terbit(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from publish.cli.main import main; main()", *words, "-C", str(workspace)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_sign_refuses_what_the_workspace_does_not_ask_for(tmp_path: Path) -> None:
    """`terbit sign` shows nothing of a hostile draft, writes no escape sequence, and a refresh mends it."""
    workspace = make_workspace(tmp_path)
    with (workspace / "content" / "election.toml").open("a") as file:
        file.write("# changed\n")
    assert terbit(workspace, "keys", "refresh").returncode == 3
    path = workspace / "keys" / "pending" / "2.trust.json"
    honest = json.loads(path.read_bytes())
    for hostile in ("trust/x\x1b[1A\x1b[2K", "trust/spare.toml"):
        metadata = json.loads(json.dumps(honest))
        list_as(metadata["signed"], hostile)
        path.write_text(json.dumps(metadata))
        done = terbit(workspace, "sign")
        assert (done.returncode, done.stdout) == (1, "")
        assert "2.trust.json" in done.stderr
        assert "\x1b" not in done.stderr
    assert terbit(workspace, "keys", "refresh").returncode == 3
    assert terbit(workspace, "sign").returncode == 3


def test_sign_without_content_says_what_it_cannot_compare(tmp_path: Path) -> None:
    """A signer's own machine with the configuration and the keys alone shows the hashes, and says that they are unchecked."""
    workspace = make_workspace(tmp_path)
    with (workspace / "content" / "election.toml").open("a") as file:
        file.write("# changed\n")
    terbit(workspace, "keys", "refresh")
    (workspace / "content").rename(tmp_path / "elsewhere")
    done = terbit(workspace, "sign")
    assert done.returncode == 3
    assert "* trust/election.toml: sha256 " in done.stdout
    assert "No content here to compare with" in done.stderr
    assert Offline(workspace / "keys").pending()
