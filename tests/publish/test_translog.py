"""The publisher's log: appended whole or not at all, never forked, cosigned before a release is public, rebuilt from what is public."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder import durable
from builder.ledger import Ledger, RefusedRecord
from publish.cli.main import terbit
from publish.errors import LogError, PendingError, PublishError, RaceError, TargetError
from publish.progress import Stages
from publish.release.flow import Flow
from publish.signing.keyring import Keyring
from publish.signing.repository import RoleFile
from publish.translog.log import Log
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.publish.workspace import copy_tree, deliver, make_workspace, publish, tree
from tests.servers import QuietHandler, serving, url_of
from tests.verifier.formats.tlog import LOG, WITNESS, signer, verifier_key
from verifier.cli.main import main as terbit_verify
from verifier.client import Client
from verifier.errors import VerificationError
from verifier.fetcher import DirectoryFetcher
from verifier.formats import merkle
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.leaves import Inputs, Package, Release, Root
from verifier.formats.note import COSIGNATURE_V1, sign
from verifier.formats.tiles import RightEdge, node_reader
from verifier.formats.tlog_proof import LogProof
from verifier.log import CHECKPOINT, LogReport, check_log, proof_path, tile_reader
from verifier.log_entries import check_root, parse_entries, read_entries
from verifier.witness_server import RateLimit, WitnessServer
from verifier.witness_store import WitnessStore

STEPS = 6
SNAPSHOTS = [RoleFile(number, 100 + number, f"{number:064x}") for number in range(1, STEPS + 1)]


@pytest.fixture
def workspace(first_release: Path, tmp_path: Path) -> Path:
    return copy_tree(first_release, tmp_path / "work")


def election(directory: Path) -> Path:
    return directory / "public" / "uji"


def logged(directory: Path) -> list[object]:
    """What the public log says, entry by entry, checked against its checkpoint."""
    fetcher = DirectoryFetcher(election(directory))
    head = SignedCheckpoint.parse((election(directory) / CHECKPOINT).read_bytes()).checkpoint
    with ThreadPoolExecutor(1) as executor:
        entries = read_entries(fetcher, head.size, executor)
    check_root(entries, head)
    return list(parse_entries(entries))


def check(directory: Path, state: Path, now: timedelta = timedelta()) -> LogReport | None:
    """As a client does that knows the first root and keeps `state`."""
    fetcher = DirectoryFetcher(election(directory))
    client = Client(fetcher, state, NIGHT + now, (directory / "keys" / "metadata" / "1.root.json").read_bytes())
    client.refresh()
    return check_log(client, fetcher)


def test_the_log_tells_the_ledger_and_the_releases(workspace: Path) -> None:
    """Every record of the ledger is an entry, in its order, and each release follows its inputs."""
    deliver(workspace, {"one": correction()})
    publish(workspace, NIGHT + minutes(5))
    kinds = [type(leaf) for leaf in logged(workspace)]
    assert kinds == [*[Package] * 5, Root, Inputs, Release, Package, Inputs, Release]
    packages = [leaf.package for leaf in logged(workspace) if isinstance(leaf, Package)]
    assert packages == [record.package for record in Ledger(workspace / "ledger").packages]


def test_a_refusal_is_logged_though_nothing_else_is_new(workspace: Path) -> None:
    """THREATS 28: a package that is refused is in the public log at the next run, with the rules it broke."""
    files = correction()
    deliver(workspace, {"bad": {**files, "rows.csv": files["rows.csv"] + b"x\n"}})
    _, told = publish(workspace, NIGHT + minutes(5))
    assert told["release"] == 1
    (record,) = [one for one in Ledger(workspace / "ledger").records if isinstance(one, RefusedRecord)]
    assert logged(workspace)[-1].package == record.package  # type: ignore[attr-defined]
    assert check(workspace, workspace / "state", minutes(6)) is not None


def test_the_sender_holds_a_receipt(workspace: Path, tmp_path: Path) -> None:
    """THREATS 28: whoever handed in holds a proof of what became of it, which stands though the publisher drops the package; it fits no other one."""
    files = correction()
    deliver(
        workspace,
        {"good": files, "bad": {**files, "rows.csv": files["rows.csv"] + b"x\n"}, "other": correction("110102", 1)},
    )
    shutil.copytree(workspace / "inbox", tmp_path / "sent")
    publish(workspace, NIGHT + minutes(5))
    policy = election(workspace) / "trust" / "tlog-policy.txt"
    for name in ("good", "other"):
        sent, kept = tmp_path / "sent" / name, tmp_path / f"{name}.receipt"
        done = CliRunner().invoke(terbit, ["recap", "receipt", str(sent), "-C", str(workspace), "-o", str(kept)])
        assert done.exit_code == 0, done.output
    shutil.copyfile(policy, tmp_path / "policy.txt")
    shutil.rmtree(workspace)  # the operator has never heard of it
    told = CliRunner().invoke(
        terbit_verify,
        [
            "receipt",
            str(tmp_path / "good.receipt"),
            str(tmp_path / "sent" / "good" / "recap.toml"),
            "--json",
            f"--policy={tmp_path / 'policy.txt'}",
        ],
    )
    assert told.exit_code == 0, told.output
    wrong = ["receipt", str(tmp_path / "good.receipt"), str(tmp_path / "sent" / "other" / "recap.toml")]
    assert CliRunner().invoke(terbit_verify, [*wrong, f"--policy={tmp_path / 'policy.txt'}"]).exit_code == 4


# --- an append, failing at each of its writes -------------------------------------------------------------------------


class Broken(Exception):  # noqa: N818
    pass


def failing(monkeypatch: pytest.MonkeyPatch, at: int, persisted: bool) -> list[int]:
    """Let the durable write number `at` (from 0) raise, before or after it took effect; returns the count of writes."""
    count, write = [0], durable.write_file

    def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
        count[0] += 1
        if count[0] - 1 != at:
            write(path, data, mode)
            return
        if persisted:
            write(path, data, mode)
        raise Broken

    monkeypatch.setattr(durable, "write_file", write_file)
    return count


@pytest.mark.parametrize("persisted", [False, True], ids=["failed, not persisted", "failed, but persisted"])
def test_an_append_that_fails_anywhere_never_forks(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, persisted: bool
) -> None:
    """THREATS 30: after a write that failed, the next run ends where an undisturbed one does, and continues every checkpoint that was ever signed."""
    ledger = Ledger(workspace / "ledger")
    whole = Log(tmp_path / "whole", LOG, signer(1))
    with monkeypatch.context() as patch:
        count = failing(patch, -1, persisted)
        whole.append(ledger, SNAPSHOTS[0])
    assert count[0] > 2
    for at in range(count[0]):
        folder = tmp_path / str(at)
        with monkeypatch.context() as patch:
            failing(patch, at, persisted)
            with pytest.raises(Broken):
                Log(folder, LOG, signer(1)).append(ledger, SNAPSHOTS[0])
        broken = Log(folder, LOG, signer(1))
        signed_before = broken.size
        assert signed_before == (whole.size if persisted and at == count[0] - 1 else 0)
        # The next run may have more to log than the one that failed.
        broken.append(ledger, SNAPSHOTS[0])
        assert broken.signed == whole.signed
        assert dict(broken.files(0)) == dict(whole.files(0))


def test_each_append_continues_the_one_before(workspace: Path, tmp_path: Path) -> None:
    """Release by release, each checkpoint is consistent with all before it, and each proof holds."""
    ledger, log, heads = Ledger(workspace / "ledger"), Log(tmp_path / "log", LOG, signer(1)), []
    for snapshot in SNAPSHOTS:
        log.append(ledger, snapshot)
        heads.append(log.signed.checkpoint)
        release = Release(f"{snapshot.version}.snapshot.json", snapshot.length, snapshot.sha256)
        log.prove(log.release_index(), log.signed).check(release.encode())
        for head in heads:
            assert merkle.tree_hash(head.size, log.node) == head.root
    assert [head.size for head in heads] == list(range(len(ledger.records) + 1, len(ledger.records) + STEPS + 1))


def test_what_was_logged_is_not_logged_again(workspace: Path, tmp_path: Path) -> None:
    """The same release again is nothing new; with other bytes it is refused, and its number used up."""
    ledger, log = Ledger(workspace / "ledger"), Log(tmp_path / "log", LOG, signer(1))
    log.append(ledger, SNAPSHOTS[0])
    before = log.signed
    log.append(ledger, SNAPSHOTS[0])
    assert log.signed == before
    with pytest.raises(LogError, match="release 1 is in the log with other bytes"):
        log.append(ledger, SNAPSHOTS[0]._replace(sha256="f" * 64))
    assert Log(tmp_path / "log", LOG).spent


def test_a_number_that_is_used_up_is_left_out(workspace: Path) -> None:
    """A release that was logged and cannot be made again byte for byte is followed by the next number."""
    log = Log(workspace / "ledger" / "log", Keyring(Workspace(workspace)).log_key)
    log._spend()
    _, told = publish(workspace, NIGHT + minutes(5))
    assert told["release"] == 2
    assert check(workspace, workspace / "state", minutes(6)) is not None


def test_an_old_ledger_is_not_logged(workspace: Path, tmp_path: Path) -> None:
    """THREATS 30: a ledger that has lost records which are in the log is refused."""
    log, records = Log(tmp_path / "log", LOG, signer(1)), workspace / "ledger" / "records.jsonl"
    log.append(Ledger(workspace / "ledger"))
    records.write_bytes(b"".join(records.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(LogError, match="old copy"):
        log.append(Ledger(workspace / "ledger"))


def test_a_log_of_another_format_is_not_continued(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log whose own entries this version does not read is left as it is, and the message says why and what to do."""
    ledger, folder = Ledger(workspace / "ledger"), tmp_path / "log"
    with monkeypatch.context() as earlier:
        earlier.setattr("publish.translog.log.entry", lambda record: b"terbit-entry-0\n")
        Log(folder, LOG, signer(1)).append(ledger)
    before, log = tree(folder), Log(folder, LOG, signer(1))
    with pytest.raises(LogError, match=r"begun by another version of terbit.* go on with that version, or begin anew"):
        log.append(ledger, SNAPSHOTS[0])
    assert tree(folder) == before


# --- an old backup, a second publisher ---------------------------------------------------------------------------------


def test_an_old_backup_is_refused(workspace: Path, tmp_path: Path) -> None:
    """THREATS 30: yesterday's disk does not go on: what is public is ahead of it, and the message says how to mend it."""
    old = Path(shutil.copytree(workspace, tmp_path / "old"))
    deliver(workspace, {"one": correction()})
    publish(workspace, NIGHT + minutes(5))
    before = tree(election(workspace) / "log")
    shutil.rmtree(old / "public")
    shutil.copytree(workspace / "public", old / "public")
    shutil.rmtree(old / "build")
    deliver(old, {"two": correction("110102", 1)})
    with pytest.raises(Exception, match="old copy"):
        publish(old, NIGHT + minutes(10))
    assert tree(election(old) / "log") == before


@pytest.mark.parametrize(
    "words", [["publish", "--yes"], ["plan"], ["build"], ["push"], ["intake"]], ids=lambda words: words[0]
)
def test_a_lost_ledger_is_refused_before_anything_is_written(workspace: Path, words: list[str]) -> None:
    """Where the ledger is gone, the commands say so and how to mend it, and write nothing in its place."""
    shutil.rmtree(workspace / "ledger")
    deliver(workspace, {"one": correction()})
    done = CliRunner().invoke(terbit, [*words, "-q", "-C", str(workspace)])
    assert isinstance(done.exception, PublishError)
    assert "release 1 is public, but the ledger here ends with 0: an old copy" in str(done.exception)
    assert "terbit recover" in str(done.exception)
    assert not (workspace / "ledger").exists()
    assert (workspace / "inbox" / "one").is_dir()


def test_without_its_ledger_the_heartbeat_goes_on(workspace: Path) -> None:
    """The last release is still the newest, whatever was lost here: its timestamp is renewed."""
    shutil.rmtree(workspace / "ledger")
    timestamp = election(workspace) / "metadata" / "timestamp.json"
    before = timestamp.read_bytes()
    with Flow(Workspace(workspace), Stages(quiet=True), NIGHT + minutes(5)) as flow:
        assert flow.pushes.heartbeat(flow.now) == 1
        flow.held.check_failed()
    assert timestamp.read_bytes() != before


def test_another_log_with_our_key_is_refused(workspace: Path) -> None:
    """THREATS 30: a public checkpoint of our own key that is not ours stops the run before anything is appended."""
    keyring = Keyring(Workspace(workspace))
    head = Checkpoint(keyring.log_key.name, 3, bytes(32))
    forged = SignedCheckpoint(head, (sign(head.encode(), keyring.log_key, keyring.log_secret.sign),))
    (election(workspace) / CHECKPOINT).write_bytes(forged.encode())
    deliver(workspace, {"one": correction()})
    with pytest.raises(RaceError, match="another log of 3 entries"):
        publish(workspace, NIGHT + minutes(5))


@pytest.mark.parametrize("junk", ["folder", "link", "garbage"])
def test_an_old_backup_is_refused_whatever_hides_the_checkpoint(workspace: Path, tmp_path: Path, junk: str) -> None:
    """THREATS 30: junk at the public checkpoint does not let an old copy fork the log: the proof of what is public says as much."""
    old = Path(shutil.copytree(workspace, tmp_path / "old"))
    deliver(workspace, {"one": correction()})
    publish(workspace, NIGHT + minutes(5))
    shutil.rmtree(old / "public")
    shutil.copytree(workspace / "public", old / "public")
    place = election(old) / CHECKPOINT
    place.unlink()
    if junk == "folder":
        place.mkdir()
    elif junk == "link":
        place.symlink_to("/dev/zero")
    else:
        place.write_bytes(b"?")
    (old / "ledger" / "snapshots").write_bytes((workspace / "ledger" / "snapshots").read_bytes())
    deliver(old, {"two": correction("110102", 1)})
    before = (old / "ledger" / "log" / "state.json").read_bytes()
    with pytest.raises(PublishError):
        publish(old, NIGHT + minutes(10))
    assert (old / "ledger" / "log" / "state.json").read_bytes() == before


def test_the_only_target_behind_hides_its_checkpoint(workspace: Path) -> None:
    """A target that lacks the release and is left out by the log's check fails alone, and the draft waits for it: the others are renewed, the next run catches it up."""
    place = workspace / "second" / "uji" / CHECKPOINT
    place.mkdir(parents=True)
    targets = '[targets.public]\nfolder = "public"\n[targets.second]\nfolder = "second"\n'
    (workspace / "terbit.toml").write_text("workers = 1\n" + targets)
    before = (election(workspace) / "metadata" / "timestamp.json").read_bytes()
    with pytest.raises(TargetError, match="second: "):
        publish(workspace, NIGHT + minutes(5))
    assert (election(workspace) / "metadata" / "timestamp.json").read_bytes() != before
    (draft,) = (workspace / "build" / "draft").iterdir()
    place.rmdir()
    assert publish(workspace, NIGHT + minutes(10))[1]["release"] == 1
    assert (workspace / "second" / "uji" / "index.html").exists()
    assert not draft.exists()


def test_two_copies_show_no_two_logs(workspace: Path) -> None:
    """THREATS 21: the checkpoint is replaced only over the one that was seen, as the timestamp is."""
    (target,) = Workspace(workspace).local_targets()
    seen = target.read(CHECKPOINT)
    target.commit(b"another publisher's", seen, CHECKPOINT)
    with pytest.raises(RaceError):
        target.commit(b"ours", seen, CHECKPOINT)


def test_a_lost_state_is_no_new_log(workspace: Path) -> None:
    """THREATS 30: where the log's state is gone, no new log is begun in its place."""
    (workspace / "ledger" / "log" / "state.json").unlink()
    (election(workspace) / CHECKPOINT).unlink()
    deliver(workspace, {"one": correction()})
    with pytest.raises(LogError, match="is gone"):
        publish(workspace, NIGHT + minutes(5))


@pytest.mark.parametrize("data", [b"", b"garbage", b"x/y\n1\n\n"], ids=["empty", "garbage", "unsigned"])
def test_a_strangers_checkpoint_is_replaced(workspace: Path, data: bytes) -> None:
    """What does not bear our signature says nothing, and is replaced at the next release."""
    (election(workspace) / CHECKPOINT).write_bytes(data)
    deliver(workspace, {"one": correction()})
    assert publish(workspace, NIGHT + minutes(5))[1]["release"] == 2
    assert len(logged(workspace)) == 11


# --- what clients see ---------------------------------------------------------------------------------------------------


def rewrite(directory: Path, change: Callable[[list[bytes]], list[bytes]], number: int = 2) -> None:
    """What a publisher could do who has all keys: show another log, with the release in it, signed with the log's key."""
    keyring, base = Keyring(Workspace(directory)), election(directory)
    proof = LogProof.parse((base / proof_path(number)).read_bytes())
    with ThreadPoolExecutor(1) as executor:
        entries = read_entries(DirectoryFetcher(base), proof.checkpoint.checkpoint.size, executor)
    release = entries[proof.index]
    entries = change(entries)
    edge, files = RightEdge().append(entries)
    for path, tile in files.items():
        (base / "log" / path).parent.mkdir(parents=True, exist_ok=True)
        (base / "log" / path).write_bytes(tile)
    head = Checkpoint(keyring.log_key.name, edge.size, edge.root())
    signed = SignedCheckpoint(head, (sign(head.encode(), keyring.log_key, keyring.log_secret.sign),))
    index = entries.index(release)
    hashes = merkle.inclusion_proof(index, edge.size, node_reader(edge.size, lambda tile: files[tile.path]))
    (base / proof_path(number)).write_bytes(LogProof(index, hashes, signed).encode())


LIES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "split view": (lambda entries: [entries[1], entries[0], *entries[2:]], "SPLIT VIEW"),
    "truncation": (lambda entries: entries[1:], "TRUNCATION"),
    "fork": (lambda entries: [entries[1], *entries], "FORK"),
}


@pytest.mark.parametrize(("change", "says"), LIES.values(), ids=LIES.keys())
def test_another_story_is_told_for_what_it_is(
    workspace: Path, change: Callable[[list[bytes]], list[bytes]], says: str
) -> None:
    """THREATS 14, 16: a log that does not continue the one seen before is named, and both checkpoints are kept for the public."""
    state = workspace / "state"
    deliver(workspace, {"one": correction()})
    publish(workspace, NIGHT + minutes(5))
    seen = check(workspace, state, minutes(6))
    assert seen is not None
    rewrite(workspace, change)
    if says == "TRUNCATION":
        for tile in (election(workspace) / "log" / "tile").rglob("11"):
            tile.unlink()
    for _ in range(2):  # and again the next time: a refusal changes nothing that is remembered
        with pytest.raises(VerificationError, match=says):
            check(workspace, state, minutes(6))
    (evidence,) = (state / "evidence").iterdir()
    text = evidence.read_text()
    shown = LogProof.parse((election(workspace) / proof_path(2)).read_bytes()).checkpoint
    assert seen.checkpoint.encode().decode() in text
    assert shown.encode().decode() in text


def test_a_proof_by_an_earlier_checkpoint_accuses_nobody(workspace: Path) -> None:
    """THREATS 14: a mirror that proves a release by a newer, genuine checkpoint does not lock its readers out of the honest site."""
    state, base = workspace / "state", election(workspace)
    honest = (base / proof_path(1)).read_bytes()
    files = correction()
    deliver(workspace, {"bad": {**files, "rows.csv": files["rows.csv"] + b"x\n"}})
    publish(workspace, NIGHT + minutes(5))
    proof, newer = LogProof.parse(honest), SignedCheckpoint.parse((base / CHECKPOINT).read_bytes())
    node = node_reader(newer.checkpoint.size, tile_reader(DirectoryFetcher(base)))
    hashes = merkle.inclusion_proof(proof.index, newer.checkpoint.size, node)
    (base / proof_path(1)).write_bytes(LogProof(proof.index, hashes, newer).encode())
    seen = check(workspace, state, minutes(6))
    assert seen is not None
    assert seen.size == 9
    (base / proof_path(1)).write_bytes(honest)
    again = check(workspace, state, minutes(6))
    assert again is not None
    assert again.size == 8
    assert not (state / "evidence").exists()
    rewrite(workspace, lambda entries: [entries[1], entries[0], *entries[2:]], 1)
    with pytest.raises(VerificationError, match="FORK"):
        check(workspace, state, minutes(6))


def test_half_written_state_locks_nobody_out(workspace: Path) -> None:
    """A checkpoint that a power cut left empty in the client's state is as if it were not there."""
    check(workspace, workspace / "state")
    (workspace / "state" / "log" / "9.checkpoint").write_bytes(b"")
    assert check(workspace, workspace / "state") is not None


def test_an_old_proof_is_no_proof_of_a_new_release(workspace: Path) -> None:
    """THREATS 16: the proof of release 1 in the place of that of release 2 is told to be a replay."""
    deliver(workspace, {"one": correction()})
    publish(workspace, NIGHT + minutes(5))
    base = election(workspace)
    shutil.copyfile(base / proof_path(1), base / proof_path(2))
    with pytest.raises(VerificationError, match="REPLAY"):
        check(workspace, workspace / "state", minutes(6))


def test_altered_tiles_are_no_fork(workspace: Path) -> None:
    """A mirror with broken tiles is told from a log that was rewritten: there is no evidence, and another mirror will do."""
    state = workspace / "state"
    check(workspace, state)
    deliver(workspace, {"one": correction()})
    publish(workspace, NIGHT + minutes(5))
    for tile in (election(workspace) / "log" / "tile" / "0").rglob("11"):
        tile.write_bytes(bytes(len(tile.read_bytes())))
    with pytest.raises(VerificationError, match="try another mirror"):
        check(workspace, state, minutes(6))
    assert not (state / "evidence").exists()


def test_a_release_without_proof_is_refused(workspace: Path) -> None:
    """THREATS 12: whoever has the online keys, but not the log's, makes no release that clients accept."""
    (election(workspace) / proof_path(1)).unlink()
    with pytest.raises(VerificationError, match="has no log proof"):
        check(workspace, workspace / "state")


# --- witnesses -----------------------------------------------------------------------------------------------------------


@contextmanager
def witness(directory: Path, folder: Path, port: int = 0) -> Iterator[WitnessServer]:
    """A witness of the workspace's log, running."""
    folder.mkdir(exist_ok=True)
    if not (folder / "witness.sqlite").exists():
        WitnessStore.create(folder, WITNESS)
    key = Keyring(Workspace(directory)).log_key
    with WitnessStore(folder, WITNESS, signer(10), lambda: 1_800_000_000) as store:
        server = WitnessServer(store, {key.name: (key,)}, "127.0.0.1", port, RateLimit(1000, 1000, lambda: 0.0))
        with serving(server):
            yield server


def ask_for(directory: Path, url: str) -> None:
    """Let the offline keys sign a policy that asks for the witness at `url`."""
    policy = directory / "keys" / "tlog-policy.txt"
    text = policy.read_text().replace("quorum none\n", f"witness saksi {WITNESS.encode()} {url}\nquorum saksi\n")
    policy.write_text(text)
    keys = [f"--key={directory / 'keys' / 'offline' / f'root-{n}.key'}" for n in (1, 2)]
    assert CliRunner().invoke(terbit, ["keys", "refresh", "-C", str(directory)]).exit_code == 3
    done = CliRunner().invoke(terbit, ["sign", "-y", "-C", str(directory), *keys])
    assert done.exit_code == 0, done.output


def test_a_release_waits_for_its_witnesses(workspace: Path, tmp_path: Path) -> None:
    """THREATS 14: without the quorum nothing new is public and the heartbeat goes on; once the witness is there, the same release goes out, cosigned."""
    with witness(workspace, tmp_path / "saksi") as server:
        port = server.server_address[1]
    ask_for(workspace, f"http://127.0.0.1:{port}")
    deliver(workspace, {"one": correction()})
    with pytest.raises(PendingError, match="waits for witnesses: none cosigned"):
        publish(workspace, NIGHT + minutes(5))
    assert (election(workspace) / CHECKPOINT).exists()
    assert len(logged(workspace)) == 11  # public, for witnesses that come and look
    report = check(workspace, workspace / "early", minutes(6))
    assert report is not None
    assert report.size == 8
    with witness(workspace, tmp_path / "saksi", port):
        _, told = publish(workspace, NIGHT + minutes(10))
    assert told["release"] == 2
    report = check(workspace, workspace / "early", minutes(11))
    assert report is not None
    assert report.witnesses == {"saksi": 1_800_000_000}
    assert report.size == 11


def test_a_client_wants_the_quorum(workspace: Path, tmp_path: Path) -> None:
    """THREATS 14: a proof whose cosignatures were taken out is refused."""
    with witness(workspace, tmp_path / "saksi") as server:
        ask_for(workspace, server.url)
        publish(workspace, NIGHT + minutes(5))
    file = election(workspace) / proof_path(2)
    proof = LogProof.parse(file.read_bytes())
    bare = SignedCheckpoint(proof.checkpoint.checkpoint, proof.checkpoint.signatures[:1])
    file.write_bytes(LogProof(proof.index, proof.hashes, bare).encode())
    with pytest.raises(VerificationError, match="too few witnesses"):
        check(workspace, workspace / "state", minutes(6))


def test_a_witness_knows_an_old_copy(workspace: Path, tmp_path: Path) -> None:
    """THREATS 30: a witness that has cosigned more than there is here stops the publisher, though all of the public side were gone."""
    with witness(workspace, tmp_path / "saksi") as server:
        ask_for(workspace, server.url)
        publish(workspace, NIGHT + minutes(5))
        old = Path(shutil.copytree(workspace, tmp_path / "old"))
        deliver(workspace, {"one": correction()})
        publish(workspace, NIGHT + minutes(10))
        shutil.rmtree(old / "public")
        deliver(old, {"two": correction("110102", 1)})
        with pytest.raises(RaceError, match="the witness saksi shows"):
            publish(old, NIGHT + minutes(15))


def test_the_policy_is_the_offline_keys_alone(workspace: Path) -> None:
    """THREATS 31: with the online keys alone the witnesses cannot be switched off: the policy in force is the signed one."""
    policy = workspace / "keys" / "tlog-policy.txt"
    policy.write_text(policy.read_text().replace("quorum none", f"witness saksi {WITNESS.encode()}\nquorum saksi"))
    publish(workspace, NIGHT + minutes(5))
    assert Keyring(Workspace(workspace)).policy.quorum is None


# --- a lost machine ------------------------------------------------------------------------------------------------------


def test_everything_is_recovered_from_what_is_public(workspace: Path, tmp_path: Path) -> None:
    """Ledger, log and lineage come back byte for byte from the public tree, and the next release continues them."""
    files = correction()
    deliver(workspace, {"one": correction(), "bad": {**files, "rows.csv": files["rows.csv"] + b"x\n"}})
    publish(workspace, NIGHT + minutes(5))
    lost = Path(
        shutil.copytree(workspace, tmp_path / "lost", ignore=shutil.ignore_patterns("ledger", "build", "inbox"))
    )
    done = CliRunner().invoke(terbit, ["recover", str(election(workspace)), "-C", str(lost)])
    assert done.exit_code == 0, done.output
    transient = ("lock", "witnesses.json")
    assert tree(lost / "ledger", leave_out=transient) == tree(workspace / "ledger", leave_out=transient)
    deliver(lost, {"two": correction("110102", 1)})
    assert publish(lost, NIGHT + minutes(10))[1]["release"] == 3
    assert check(lost, tmp_path / "state", minutes(11)) is not None


def test_recover_keeps_no_false_proof(workspace: Path, tmp_path: Path) -> None:
    """Junk in the place of a release's proof is told and not kept: the guard would put it over the right one."""
    lost = Path(
        shutil.copytree(workspace, tmp_path / "lost", ignore=shutil.ignore_patterns("ledger", "build", "inbox"))
    )
    mirror = Path(shutil.copytree(election(workspace), tmp_path / "mirror"))
    (mirror / proof_path(1)).write_bytes(b"junk")
    done = CliRunner().invoke(terbit, ["recover", str(mirror), "-C", str(lost)])
    assert done.exit_code == 0
    assert "No proof of 1.snapshot.json" in done.output
    assert not (lost / "ledger" / "log" / "proofs").exists()


def test_an_old_backup_catches_up(workspace: Path, tmp_path: Path) -> None:
    """THREATS 30: yesterday's disk, refused by publish, is brought up to date by recover and goes on."""
    old = Path(shutil.copytree(workspace, tmp_path / "old"))
    deliver(workspace, {"one": correction()})
    publish(workspace, NIGHT + minutes(5))
    shutil.rmtree(old / "public")
    shutil.copytree(workspace / "public", old / "public")
    assert CliRunner().invoke(terbit, ["recover", str(election(workspace)), "-C", str(old)]).exit_code == 0
    assert (old / "ledger" / "records.jsonl").read_bytes() == (workspace / "ledger" / "records.jsonl").read_bytes()
    deliver(old, {"two": correction("110102", 1)})
    assert publish(old, NIGHT + minutes(10))[1]["release"] == 3


def lose(workspace: Path, place: Path, *more: str) -> Path:
    """What a backup of configuration, content and keys brings back."""
    gone = shutil.ignore_patterns("ledger", "build", "inbox", "public", *more)
    return Path(shutil.copytree(workspace, place, ignore=gone))


@pytest.mark.parametrize(
    "words", [["publish", "--yes"], ["plan"], ["build"], ["push"], ["intake"]], ids=lambda words: words[0]
)
def test_keys_that_signed_a_log_begin_no_second_one(workspace: Path, tmp_path: Path, words: list[str]) -> None:
    """On a restored machine without ledger and without a target that tells, nothing is begun anew: what is public is to be recovered first."""
    lost = lose(workspace, tmp_path / "lost")
    deliver(lost, {"one": correction()})
    done = CliRunner().invoke(terbit, [*words, "-q", "-C", str(lost)])
    assert isinstance(done.exception, PublishError), done.output
    assert "the keys here have signed a public log" in str(done.exception)
    assert "terbit recover URL" in str(done.exception)
    assert not (lost / "ledger").exists()
    assert not (lost / "public").exists()
    assert CliRunner().invoke(terbit, ["recover", str(election(workspace)), "-C", str(lost)]).exit_code == 0
    assert publish(lost, NIGHT + minutes(10))[1]["release"] == 2


def test_keys_that_only_cut_begin_their_log(tmp_path: Path) -> None:
    """A first release that was cut, and whose run was stopped before the log was signed or right after, goes on."""
    made = make_workspace(tmp_path / "made")
    deliver(made)
    assert CliRunner().invoke(terbit, ["build", "-q", "-C", str(made)]).exit_code == 0
    (made / "keys" / "log-begun").write_bytes(b"")
    assert CliRunner().invoke(terbit, ["publish", "-q", "-C", str(made)]).exit_code == 0
    assert (election(made) / CHECKPOINT).exists()


def test_a_second_history_is_mended_as_recover_says(workspace: Path, tmp_path: Path) -> None:
    """Where a first release was made again after the loss, `recover` names the folders to move away; then it recovers, and publishing goes on."""
    lost = lose(workspace, tmp_path / "lost", "log-begun")
    for step in range(3):  # longer than the public one, too
        deliver(lost, {"one": correction("110102", 1 + step)})
        publish(lost, NIGHT + minutes(1 + step))
        done = CliRunner().invoke(terbit, ["recover", str(election(workspace)), "-C", str(lost)])
        assert isinstance(done.exception, LogError), done.output
        assert "shows another log than the one here" in str(done.exception)
    named = [lost / "ledger", lost / "build", lost / "public" / "uji"]
    assert f"move {', '.join(map(str, named))} away" in str(done.exception)
    for folder in named:
        folder.rename(tmp_path / folder.name)
    assert CliRunner().invoke(terbit, ["recover", str(election(workspace)), "-C", str(lost)]).exit_code == 0
    assert publish(lost, NIGHT + minutes(10))[1]["release"] == 1
    assert tree(election(lost) / "log") == tree(election(workspace) / "log")


@pytest.mark.parametrize("what", ["package", "entry", "checkpoint", "ledger"])
def test_recover_believes_nothing(workspace: Path, tmp_path: Path, what: str) -> None:
    """An altered package, entry or checkpoint, or a ledger that says otherwise, is refused, and nothing is written."""
    lost = Path(shutil.copytree(workspace, tmp_path / "lost", ignore=shutil.ignore_patterns("build", "inbox")))
    base = election(workspace)
    if what == "ledger":
        records = lost / "ledger" / "records.jsonl"
        other = Ledger(tmp_path / "other")
        with other.lock():
            other.add([RefusedRecord("0" * 64, ("cover",))])
        records.write_bytes((tmp_path / "other" / "records.jsonl").read_bytes())
        shutil.rmtree(lost / "ledger" / "log")
    else:
        shutil.rmtree(lost / "ledger")
        place = {"package": "packages/*/rows.csv", "entry": "log/tile/entries/*/8", "checkpoint": CHECKPOINT}[what]
        victim = next(base.glob(place))
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.unlink()
        victim.write_bytes(data)
    before = tree(lost / "ledger", leave_out=("lock",)) if (lost / "ledger").exists() else {}
    done = CliRunner().invoke(terbit, ["recover", str(base), "-C", str(lost)])
    assert done.exit_code != 0
    after = tree(lost / "ledger", leave_out=("lock",)) if (lost / "ledger").exists() else {}
    assert after == before


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A hostile witness that answers all requests alike."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self) -> None:
            self.answer(status, body)

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield url_of(server)


HOSTILE = {
    "a size that cannot be": (409, b"9000000000000000000\n"),
    "junk": (200, b"\xff" * 1000),
    "foreign lines": (200, "— stranger.example/w AAAAAAAA\n".encode() * 3),
    "a lie about a fork": (422, b""),
    "too much": (200, b"x" * 1_000_000),
}


@pytest.mark.parametrize(("status", "body"), HOSTILE.values(), ids=HOSTILE.keys())
def test_one_hostile_witness_stops_nobody(workspace: Path, tmp_path: Path, status: int, body: bytes) -> None:
    """THREATS 14: whatever one witness answers costs its own cosignature; where the others are a quorum, the release goes out."""
    with witness(workspace, tmp_path / "saksi") as server, answering(status, body) as hostile:
        policy = workspace / "keys" / "tlog-policy.txt"
        other = verifier_key(11, "jahat.example/w", COSIGNATURE_V1)
        policy.write_text(
            policy.read_text().replace("quorum none\n", f"witness jahat {other.encode()} {hostile}\nquorum none\n")
        )
        ask_for(workspace, server.url)
        assert publish(workspace, NIGHT + minutes(5))[1]["release"] == 2
    report = check(workspace, workspace / "state", minutes(6))
    assert report is not None
    assert list(report.witnesses) == ["saksi"]
