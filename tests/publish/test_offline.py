"""The offline ceremony on disk: drafted, signed, put in force; and a stop at any step loses nothing."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, Root

from builder import durable
from publish.config import Config, parse_config
from publish.errors import ConfigError, KeyFileError, SigningError
from publish.signing import ceremony, keystore
from publish.signing.keys import SecretKey
from publish.signing.keystore import KeyStore, Passphrases, appoint, encode_minisign_keys
from publish.signing.offline import Offline, Plan
from publish.signing.repository import tuf_key
from verifier.results_signature import MinisignKeys

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
DEFINITION = {"election.toml": b'id = "x"', "areas.csv.gz": b"\x1f\x8b"}
GROUPS = ("ppwp", "dpr")
OPEN = Passphrases(None, None)
ORIGIN = "hasil.example.id/x/log"


def config(text: str = "") -> Config:
    return parse_config(text.encode(), "terbit.toml", processors=1)


class Workspace:
    """A folder `keys` with keys in force."""

    def __init__(self, directory: Path, text: str = "") -> None:
        self.store = KeyStore(directory, config(text))
        self.offline = Offline(directory)

    def initialize(self) -> list[str]:
        return ceremony.initialize(self.store, OPEN, GROUPS, DEFINITION, now=NOW, random=os.urandom, origin=ORIGIN)

    def plan(self, **changes: bytes) -> Plan:
        return ceremony.make_plan(self.store, GROUPS, {**DEFINITION, **changes})

    def prepare(self, now: datetime = NOW, plan: Plan | None = None) -> list[str]:
        return self.offline.prepare(plan or self.plan(), now)

    def secret(self, name: str) -> SecretKey:
        return self.store.secret(name, self.store.public(name), None)

    def old_secret(self, name: str) -> SecretKey:
        public = self.store.public(f"{name}.1")
        return self.store.secret(name, public, None)

    def sign(self, *keys: str | SecretKey) -> None:
        given = [self.secret(key) if isinstance(key, str) else key for key in keys]
        self.offline.add_signatures(self.offline.pending(), given)

    def rotate(self, name: str, next_release: int = 5) -> SecretKey:
        return self.store.rotate(name, OPEN, os.urandom, next_release)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "keys").mkdir()
    made = Workspace(tmp_path / "keys")
    assert made.initialize() == []
    return made


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_init_puts_everything_in_force(workspace):
    """After init root, targets and trust are in force, with the definition and every public key."""
    trust = workspace.offline.current()
    assert set(trust.metadata) == {"1.root.json", "1.targets.json", "1.trust.json"}
    names = ["root-1", "root-2", "root-3", "site", "results", "snapshot", "timestamp", "minisign", "log"]
    assert set(trust.files) == {
        *("trust/election.toml", "trust/areas.csv.gz", "trust/minisign.json", "trust/tlog-policy.txt"),
        *(f"keys/{name}.pub" for name in names),
    }
    assert trust.files["trust/election.toml"] == DEFINITION["election.toml"]
    assert MinisignKeys.parse(trust.files["trust/minisign.json"]).for_release(1) == workspace.store.public("minisign")


def test_init_writes_secret_files_for_their_owner_only(workspace):
    """Secret keys and their folders are closed to others."""
    folders = [workspace.store.directory / name for name in ("offline", "online")]
    keys = [path for folder in folders for path in folder.iterdir()]
    assert {path.stem for path in keys} == set(workspace.store.names())
    assert [path for path in (*folders, *keys) if path.stat().st_mode & 0o077] == []


def test_second_init_changes_nothing(workspace):
    """Init where keys are in force is refused and leaves every byte."""
    before = snapshot(workspace.store.directory)
    with pytest.raises(KeyFileError, match="terbit keys rotate"):
        workspace.initialize()
    assert snapshot(workspace.store.directory) == before


def test_offline_keys_can_be_made_elsewhere(tmp_path):
    """With another folder for the offline keys, none of them touches the workspace."""
    store = KeyStore(tmp_path / "keys", config(), tmp_path / "stick")
    ceremony.initialize(store, OPEN, GROUPS, DEFINITION, now=NOW, random=os.urandom, origin=ORIGIN)
    assert sorted(path.name for path in (tmp_path / "stick").iterdir()) == ["root-1.key", "root-2.key", "root-3.key"]
    assert not (tmp_path / "keys" / "offline").exists()


def test_passphrases_close_the_keys_they_are_for(tmp_path):
    """Online keys take the online passphrase."""
    store = KeyStore(tmp_path / "keys", config())
    ceremony.initialize(
        store, Passphrases(None, b"open"), GROUPS, DEFINITION, now=NOW, random=os.urandom, origin=ORIGIN
    )
    with pytest.raises(KeyFileError, match="give its passphrase"):
        store.secret("site", store.public("site"), None)
    assert store.secret("site", store.public("site"), b"open").public == store.public("site")


def test_another_persons_key_is_taken_by_its_public_half(tmp_path):
    """A key of which only the public half is here gets no secret; init then waits for its owner's signature."""
    foreign = {name: SecretKey.generate(os.urandom) for name in ("root-2", "root-3")}
    made = Workspace(tmp_path / "keys")
    made.store.public_path("x").parent.mkdir(parents=True)
    for name, key in foreign.items():
        made.store.public_path(name).write_text(key.public.file_text())
    assert made.initialize() == ["1.root.json", "1.targets.json", "1.trust.json"]
    assert not made.store.secret_path("root-2").exists()
    with pytest.raises(SigningError, match="signed by enough keys"):
        made.offline.current()
    made.sign(foreign["root-3"])
    assert made.offline.promote() == ["1.trust.json", "1.targets.json", "1.root.json"]
    assert made.offline.current().files


def test_nothing_is_drafted_when_nothing_changed(workspace):
    """Prepare without a change leaves nothing pending."""
    assert workspace.prepare() == []
    assert workspace.offline.pending() == []


def test_changed_definition_drafts_trust_alone(workspace):
    """A new election.toml needs one new trust, which counts only once enough keys have signed it."""
    before = workspace.offline.current()
    assert workspace.prepare(plan=workspace.plan(**{"election.toml": b'id = "new"'})) == ["2.trust.json"]
    assert workspace.offline.promote() == []
    workspace.sign("root-1")
    assert workspace.offline.promote() == []
    assert workspace.offline.current() == before
    workspace.sign("root-3")
    assert workspace.offline.promote() == ["2.trust.json"]
    after = workspace.offline.current()
    assert after.files["trust/election.toml"] == b'id = "new"'
    assert after.sha256 != before.sha256
    assert workspace.offline.pending() == []


def test_prepare_twice_keeps_the_signatures(workspace):
    """A draft that still says the right thing keeps its signatures; one that does not is drafted anew."""
    plan = workspace.plan(**{"election.toml": b'id = "new"'})
    workspace.prepare(plan=plan)
    workspace.sign("root-1")
    before = snapshot(workspace.store.directory)
    workspace.prepare(NOW + timedelta(days=1), plan)
    assert snapshot(workspace.store.directory) == before
    workspace.prepare(plan=workspace.plan(**{"election.toml": b'id = "newer"'}))
    assert [file.metadata.signatures for file in workspace.offline.pending()] == [{}]


def test_change_taken_back_removes_the_draft(workspace):
    """When the definition is as before again, the draft is gone."""
    workspace.prepare(plan=workspace.plan(**{"election.toml": b'id = "new"'}))
    assert workspace.prepare() == []
    assert workspace.offline.pending() == []


def test_expiry_is_renewed_in_time(workspace):
    """With a tenth of the validity left, all three are drafted again, one version up."""
    assert workspace.prepare(NOW + timedelta(days=3280)) == []
    names = workspace.prepare(NOW + timedelta(days=3290))
    assert names == ["2.root.json", "2.targets.json", "2.trust.json"]


def test_draft_that_would_last_too_long_is_not_kept(workspace):
    """A pending file whose end someone moved further away is drafted anew."""
    later = workspace.plan(**{"election.toml": b'id = "new"'})
    workspace.prepare(NOW + timedelta(days=3650), later)
    workspace.prepare(NOW, later)
    assert [file.expires for file in workspace.offline.pending()] == [NOW + timedelta(days=3650)]


def test_rotated_online_key_needs_a_new_root_and_trust(workspace):
    """A new timestamp key is named by a new root and published by a new trust; until then the old ones are in force."""
    old = workspace.store.public("timestamp")
    workspace.rotate("timestamp")
    assert workspace.prepare() == ["2.root.json", "2.trust.json"]
    assert workspace.offline.current().files["keys/timestamp.pub"] == old.file_text().encode()
    assert workspace.store.secret("timestamp", old, None).public == old
    workspace.sign("root-1", "root-2")
    assert workspace.offline.promote() == ["2.trust.json", "2.root.json"]
    assert set(workspace.offline.current().metadata) == {"1.root.json", "2.root.json", "1.targets.json", "2.trust.json"}


def test_rotated_root_key_needs_old_and_new_keys(workspace):
    """A root with new keys waits for the threshold of the old keys and for its own."""
    for name in ("root-1", "root-2"):
        workspace.rotate(name)
    assert workspace.prepare() == ["2.root.json", "2.targets.json", "2.trust.json"]
    workspace.sign("root-1", "root-2")
    assert workspace.offline.promote() == []
    workspace.sign(workspace.old_secret("root-1"))
    assert workspace.offline.promote() == []
    workspace.sign("root-3")
    assert workspace.offline.promote() == ["2.trust.json", "2.targets.json", "2.root.json"]
    first, second = (
        Metadata[Root].from_bytes(workspace.offline.current().metadata[f"{version}.root.json"]) for version in (1, 2)
    )
    assert second.signed.get_root_verification_result(first.signed, second.signed_bytes, second.signatures)


def test_two_rotations_leave_every_root_for_clients_to_walk(workspace):
    """After two rotations all three roots are published, each vouched for by the one before."""
    for _ in range(2):
        workspace.rotate("root-1")
        workspace.prepare()
        workspace.sign("root-1", "root-2", "root-3")
        workspace.offline.promote()
    metadata = workspace.offline.current().metadata
    assert {name for name in metadata if "root" in name} == {"1.root.json", "2.root.json", "3.root.json"}
    roots = [Metadata[Root].from_bytes(metadata[f"{version}.root.json"]) for version in (1, 2, 3)]
    for before, after in pairwise(roots):
        assert after.signed.get_root_verification_result(before.signed, after.signed_bytes, after.signatures)


def test_root_is_not_promoted_before_what_it_vouches_for(workspace):
    """A root with enough signatures waits until targets and trust verify under it, so that clients never see a gap."""
    for name in ("root-1", "root-2"):
        workspace.rotate(name)
    workspace.prepare()
    keys = [
        workspace.secret("root-1"),
        workspace.secret("root-2"),
        workspace.old_secret("root-1"),
        workspace.secret("root-3"),
    ]
    pending = workspace.offline.pending()
    root = [file for file in pending if file.role == "root"]
    workspace.offline.add_signatures(root, keys)
    before = workspace.offline.current()
    assert workspace.offline.promote() == []
    assert workspace.offline.current() == before


def test_key_without_a_say_is_refused(workspace):
    """An online key, or a stranger's, cannot sign offline metadata, and nothing is written."""
    workspace.prepare(plan=workspace.plan(**{"election.toml": b'id = "new"'}))
    before = snapshot(workspace.store.directory)
    for key in (workspace.secret("site"), SecretKey.generate(os.urandom)):
        with pytest.raises(SigningError, match="has no say"):
            workspace.sign("root-1", key)
    assert snapshot(workspace.store.directory) == before


def test_signing_nothing_is_refused(workspace):
    """Without anything pending, signing says so."""
    with pytest.raises(SigningError, match="nothing waits"):
        workspace.sign("root-1")


@pytest.mark.parametrize("role", ["targets", "trust"])
def test_forged_metadata_is_never_in_force(workspace, role):
    """Metadata put into the folder by someone without the keys does not count, whatever its version."""
    before = workspace.offline.current()
    folder = workspace.store.directory / "metadata"
    metadata = Metadata.from_bytes(before.metadata[f"1.{role}.json"])
    metadata.signed.version = 7
    (folder / f"7.{role}.json").write_bytes(metadata.to_bytes())
    assert workspace.offline.current() == before


@pytest.mark.parametrize("data", [b"", b"{}", b'{"signed":{"_type":"targets"},"signatures":[]}'])
def test_damaged_metadata_names_the_file(workspace, data):
    """A damaged file in the folder is an error that names it, not silently passed over."""
    (workspace.store.directory / "metadata" / "2.root.json").write_bytes(data)
    with pytest.raises(SigningError, match=r"2\.root\.json"):
        workspace.offline.current()


def test_metadata_under_another_roles_name_is_refused(workspace):
    """A file whose content is another role or version than its name says is an error."""
    folder = workspace.store.directory / "metadata"
    (folder / "2.root.json").write_bytes((folder / "1.trust.json").read_bytes())
    with pytest.raises(SigningError, match="not what its name says"):
        workspace.offline.current()


def test_damaged_trust_file_is_noticed(workspace):
    """The stored copy of a signed file is checked against its signed hash."""
    for path in (workspace.store.directory / "trust").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(SigningError, match="missing or damaged"):
        workspace.offline.current()


class Stop(BaseException):
    """The power cut."""


def stopping_after(writes: int, write: Callable[..., None]) -> Callable[..., None]:
    left = [writes]

    def stopped(*arguments: object) -> None:
        if left[0] == 0:
            raise Stop
        left[0] -= 1
        write(*arguments)

    return stopped


@pytest.mark.parametrize("writes", range(18))
@pytest.mark.parametrize("action", ["root", "minisign"])
def test_stop_at_any_write_of_a_rotation_loses_nothing(workspace, monkeypatch, action, writes):
    """After a stop at any write, what is in force stays whole, no key is lost, and running again finishes the work."""
    name = "root-1" if action == "root" else "minisign"
    old = workspace.secret(name)
    before = workspace.offline.current()

    def whole() -> None:
        if workspace.store.public(name) == old.public:
            workspace.rotate(name)
        workspace.prepare()
        if workspace.offline.pending():
            workspace.sign("root-2", "root-3")
        workspace.offline.promote()

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_file", stopping_after(writes, durable.write_file))
        with contextlib.suppress(Stop):
            whole()
    during = workspace.offline.current()
    assert during.metadata["1.root.json"] == before.metadata["1.root.json"]
    whole()
    after = workspace.offline.current()
    assert after.files[f"keys/{name}.pub"] == workspace.store.public(name).file_text().encode()
    assert workspace.store.public(name) != old.public
    assert workspace.store.secret(name, old.public, None) == old
    assert workspace.secret(name).public == workspace.store.public(name)
    assert workspace.prepare() == []
    assert len([*workspace.store.secret_path(name).parent.glob(f"{name}*.key")]) == 2


def test_stop_between_old_and_new_key_is_finished_by_rotating_again(workspace, monkeypatch):
    """When the new key could not be written, the old one is safe under its new name and rotating again goes on."""
    old = workspace.secret("minisign")

    def stop(*_arguments: object) -> None:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(keystore, "write_secret_key", stop)
        with pytest.raises(Stop):
            workspace.rotate("minisign")
    assert workspace.store.secret("minisign", old.public, None) == old
    new = workspace.rotate("minisign")
    assert [key for _, key in workspace.store.minisign_secrets(workspace.store.minisign_keys(), None)] == [old, new]


def test_draft_that_is_in_force_already_is_only_cleared_away(workspace):
    """After a stop between putting in force and clearing away, promoting again clears away and changes nothing."""
    workspace.prepare(plan=workspace.plan(**{"election.toml": b'id = "new"'}))
    workspace.sign("root-1", "root-2")
    (file,) = workspace.offline.pending()
    workspace.offline.promote()
    before = snapshot(workspace.store.directory)
    (workspace.store.directory / "pending" / file.name).write_bytes(file.data)
    assert workspace.offline.promote() == []
    assert snapshot(workspace.store.directory) == before


@pytest.mark.parametrize("writes", range(24))
def test_stop_at_any_write_of_init_is_finished_by_init(tmp_path, monkeypatch, writes):
    """After a stop at any write of init, init again finishes with the keys that were made."""
    made = Workspace(tmp_path / "keys")
    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_file", stopping_after(writes, durable.write_file))
        with contextlib.suppress(Stop):
            made.initialize()
    secrets = {path: path.read_bytes() for path in tmp_path.rglob("*.key")}
    if made.offline.chain() is None:
        assert made.initialize() == []
    assert made.offline.current().files
    assert made.prepare() == []
    assert all(path.read_bytes() == data for path, data in secrets.items())


def test_rotated_minisign_key_signs_from_the_next_release(workspace):
    """The new minisign key signs release 5 and later, the old one those before; both are published."""
    old = workspace.store.public("minisign")
    new = workspace.rotate("minisign", next_release=5).public
    keys = workspace.store.minisign_keys()
    assert [keys.for_release(release) for release in (1, 4, 5, 99)] == [old, old, new, new]
    assert workspace.prepare() == ["2.trust.json"]
    assert set(workspace.plan().files) >= {"keys/minisign.pub", "keys/minisign.1.pub"}
    secrets = workspace.store.minisign_secrets(workspace.store.minisign_keys(), None)
    assert [(first, key.public) for first, key in secrets] == [(1, old), (5, new)]


def test_replaced_keys_of_other_roles_are_not_published(workspace):
    """Only minisign keys of earlier releases stay of use; a replaced role key is not published any more."""
    workspace.rotate("timestamp")
    assert "keys/timestamp.1.pub" not in workspace.plan().files


def test_rotating_twice_keeps_both_old_keys(workspace):
    """The old keys of two rotations stay as .1 and .2."""
    keys = [workspace.store.public("site"), workspace.rotate("site").public, workspace.rotate("site").public]
    assert [workspace.store.public(name) for name in ("site.1", "site.2", "site")] == keys


def test_another_persons_key_is_not_rotated_here(tmp_path, workspace):
    """Rotating a key whose secret is elsewhere says where to put the new public half."""
    workspace.store.secret_path("root-3").rename(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match=r"put the new public key at .*root-3\.pub"):
        workspace.rotate("root-3")


@given(st.lists(st.integers(1, 20), max_size=6))
def test_every_release_has_exactly_one_minisign_key(steps):
    """Whatever the releases of the rotations, each release has one key, and the last one is the newest."""
    keys, release = MinisignKeys(()), 1
    for step, number in enumerate([0, *steps]):
        release += number
        keys = appoint(keys, SecretKey(bytes([step] * 8), bytes([step] * 32)).public, release)
    assert MinisignKeys.parse(encode_minisign_keys(keys)) == keys
    for number in range(1, release + 3):
        keys.for_release(number)
    assert keys.for_release(release).key_id == bytes([len(steps)] * 8)


def test_appointing_a_key_for_the_past_is_refused():
    """A rotation cannot take releases away from the key that already signed them."""
    one, two, three = (SecretKey(bytes([n] * 8), bytes([n] * 32)).public for n in (1, 2, 3))
    keys = appoint(appoint(MinisignKeys(()), one, 1), two, 5)
    with pytest.raises(SigningError, match="from release 5"):
        appoint(keys, three, 4)


def test_plan_refuses_roles_of_unknown_groups(workspace):
    """A table for a group that the election lacks is a mistake, not ignored."""
    text = "[roles.pwpp]\ndays = 1\n"
    with pytest.raises(ConfigError, match="pwpp"):
        ceremony.make_plan(KeyStore(workspace.store.directory, config(text)), GROUPS, DEFINITION)


def test_new_group_is_drafted_with_its_own_keys(workspace):
    """A new group of contests changes targets only."""
    plan = ceremony.make_plan(workspace.store, (*GROUPS, "dpd"), DEFINITION)
    assert workspace.prepare(plan=plan) == ["2.targets.json"]


def test_description_marks_what_changes_and_who_must_sign(workspace):
    """What is to be signed is told role by role, with a mark on each change and every key in full."""
    workspace.rotate("timestamp")
    workspace.prepare(plan=workspace.plan(**{"election.toml": b'id = "new"'}))
    workspace.sign("root-1")
    told = list(ceremony.describe(workspace.offline, workspace.offline.pending(), ceremony.known_keys(workspace.store)))
    assert "2.root.json: the keys that every other signature rests on, until 2036-11-18 05:00 UTC" in told
    assert "  * timestamp: 1 of timestamp" in told
    assert "    snapshot: 1 of snapshot" in told
    assert any(line.startswith("  * trust/election.toml: sha256 ") for line in told)
    assert any(line.startswith("    trust/areas.csv.gz: sha256 ") for line in told)
    assert "    the root in force wants 2 of root-1, root-2, root-3; signed by root-1" in told
    assert f"key timestamp: {workspace.store.public('timestamp').encode()}" in told


def test_description_does_not_hide_a_key_behind_a_name(workspace):
    """A key that this folder does not know is told in full."""
    stranger = SecretKey.generate(os.urandom).public
    plan = workspace.plan()
    forged = replace(plan, root={**plan.root, "timestamp": replace(plan.root["timestamp"], keys=(stranger,))})
    workspace.prepare(plan=forged)
    told = list(ceremony.describe(workspace.offline, workspace.offline.pending(), ceremony.known_keys(workspace.store)))
    assert f"  * timestamp: 1 of unknown key {tuf_key(stranger).keyid}" in told
