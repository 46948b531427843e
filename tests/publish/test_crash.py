"""The publisher killed at every step: the last release stays whole, nothing is lost or repeated, the next run finishes."""

import json
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from builder.ledger import Ledger
from publish.errors import PublishError
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.killer import DIED, killer
from tests.publish.workspace import copy_tree, deliver, publish, tree
from verifier.client import Client
from verifier.fetcher import DirectoryFetcher

LATER = NIGHT + minutes(5)


def publish_later(workspace: Path) -> None:
    publish(workspace, LATER)


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    workspace = copy_tree(prepared, tmp_path_factory.mktemp("whole") / "copy")
    publish(workspace, LATER)
    return tree(workspace / "public")


def release(workspace: Path) -> int:
    """The release that a client which knows the first root gets, after verifying it and one page."""
    base = workspace / "public" / "uji"
    with tempfile.TemporaryDirectory() as state:
        root = (workspace / "keys" / "metadata" / "1.root.json").read_bytes()
        client = Client(DirectoryFetcher(base), Path(state), LATER, root=root)
        client.refresh()
        shown = json.loads(client.target("ppwp/1101/110101.json"))
        assert shown["release"] == client.snapshot.version
        return client.snapshot.version


def test_killed_at_every_step(prepared: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """Whatever change to the disk is the last, clients see a whole release and a second run ends where an undisturbed one does."""
    # Objects, aliases and packs repeat one step many times: every third step, at an offset that moves, sees each kind.
    with killer("tests.publish.test_crash:publish_later") as kill:
        status, total = kill(copy_tree(prepared, tmp_path / "whole"), -1)
        assert status == 0
        assert total > 60
        for limit in range(1 + os.getpid() % 3, total + 1, 3):
            workspace = copy_tree(prepared, tmp_path / str(limit))
            assert kill(workspace, limit) == (DIED, limit)
            assert release(workspace) in (1, 2), limit
            report, _ = publish(workspace, LATER)
            assert not report.refused, limit
            ledger = Ledger(workspace / "ledger")
            assert max(Counter(record.package for record in ledger.packages).values()) == 1, limit
            assert len(ledger.packages) == 7, limit
            assert [cut.release for cut in ledger.cuts] == [1, 2], limit
            after = tree(workspace / "public")
            pointers = {"uji/metadata/timestamp.json", "uji/latest.json"}
            assert {path: digest for path, digest in after.items() if path not in pointers} == {
                path: digest for path, digest in undisturbed.items() if path not in pointers
            }, limit
            assert not [path for path in after if "/." in path], limit
            shutil.rmtree(workspace)


@pytest.mark.parametrize("cut_off", [1, 2, 40, 150, 10_000], ids="{} bytes lost".format)
def test_torn_record(prepared: Path, undisturbed: dict[str, str], tmp_path: Path, cut_off: int) -> None:
    """A record whose end never reached the disk was never committed: the ledger opens without it, and publishing goes on."""
    workspace = copy_tree(prepared, tmp_path / "copy")
    records = workspace / "ledger" / "records.jsonl"
    before = len(Ledger(workspace / "ledger").packages)
    whole = records.read_bytes()
    publish(workspace, LATER)
    longer = records.read_bytes()
    records.write_bytes(longer[: max(len(longer) - cut_off, len(whole))])
    assert len(Ledger(workspace / "ledger").packages) >= before
    shutil.rmtree(workspace / "build")
    deliver(workspace, {"one": correction(), "two": correction("110102", 1)})
    publish(workspace, LATER)
    assert tree(workspace / "public" / "uji" / "ppwp") == {
        path.removeprefix("uji/ppwp/"): digest for path, digest in undisturbed.items() if path.startswith("uji/ppwp/")
    }


def test_two_publishers(prepared: Path, tmp_path: Path) -> None:
    """Of two publishers in one workspace, the second is told so and changes nothing."""
    workspace = copy_tree(prepared, tmp_path / "copy")
    before = tree(workspace)
    with Workspace(workspace).lock(), pytest.raises(PublishError, match="another terbit is publishing"):
        publish(workspace, LATER)
    assert tree(workspace, leave_out=("lock",)) == {
        path: digest for path, digest in before.items() if not path.endswith("lock")
    }
