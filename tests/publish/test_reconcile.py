"""`terbit reconcile`: the record of a target, made again from what stands there and from nothing that it merely says."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from publish.cli.main import terbit
from publish.release.record import Record, open_record
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.faults import FaultProxy
from tests.publish.workspace import copy_tree, deliver, make_workspace, publish, tree
from tests.storage import BUCKET, Server

pytestmark = pytest.mark.usefixtures("credentials")


@pytest.fixture
def made(published: Path, tmp_path: Path) -> Path:
    return copy_tree(published, tmp_path / "work")


def reconcile(directory: Path, *words: str) -> tuple[int, Any]:
    """Exit code, and what was told as JSON."""
    done = CliRunner().invoke(terbit, ["reconcile", "-C", str(directory), "--json", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout)


def record_of(directory: Path, name: str = "public") -> dict[str, Any]:
    """The files of a record, the record itself decoded."""
    folder = directory / "build/targets" / name
    files = {path.name: path.read_bytes() for path in folder.glob("*.json")}
    return {**files, "record.json": msgspec.json.decode(files["record.json"], type=Record)}


def test_a_lost_record_is_the_same_again(made: Path) -> None:
    """After build/ was deleted, the record made from the folder says what the lost one said, over the same bytes."""
    before = record_of(made)
    shutil.rmtree(made / "build")
    assert reconcile(made) == (0, [{"target": "public", "release": 2, "found": [], "left": 0}])
    assert record_of(made) == before


def test_a_bucket_costs_only_what_changed_again(storage: Server, tmp_path: Path) -> None:
    """After reconciling a bucket, the next run with nothing new asks three requests, as if the record had never been lost."""
    with FaultProxy(storage.url) as proxy:
        made = make_workspace(tmp_path, f"workers = 1\n{Server(proxy.url).target('lost/')}")
        deliver(made)
        publish(made)
        before = record_of(made, "bucket")
        shutil.rmtree(made / "build")
        assert reconcile(made)[0] == 0
        assert record_of(made, "bucket") == before
        proxy.requests.clear()
        publish(made, NIGHT + minutes(5))
        assert [method for method, path in proxy.requests if "probe" not in path] == ["GET", "PUT", "PUT"]


def test_what_was_changed_by_hand_is_put_right(storage: Server, tmp_path: Path) -> None:
    """A page that was edited, an object that was deleted and metadata that was overwritten in a bucket are right again, the record too."""
    made = make_workspace(tmp_path, f"workers = 1\n{storage.target('hand/')}")
    deliver(made)
    publish(made)
    held = storage.keys(prefix="hand/uji/")
    client = storage.client()
    role = next(key for key in held if key.endswith(".ppwp-1101.json"))
    gone = next(key for key in held if "/targets/" in key and key.endswith(".html"))
    client.put_object(Bucket=BUCKET, Key="hand/uji/index.html", Body=b"by hand")
    client.put_object(Bucket=BUCKET, Key=role, Body=b"{}")
    client.delete_object(Bucket=BUCKET, Key=gone)
    code, told = reconcile(made)
    assert code == 0
    assert {one["path"] for one in told[0]["found"]} == {
        "index.html", role.removeprefix("hand/uji/"), gone.removeprefix("hand/uji/"),
    }  # fmt: skip
    after = storage.keys(prefix="hand/uji/")
    assert {key: after[key] for key in held} == held


def test_nothing_is_put_right_unasked(made: Path) -> None:
    """With --no-heal what is wrong is told, with exit code 4, and stays."""
    (made / "public/uji/latest.json").write_bytes(b"{}")
    before = tree(made / "public")
    code, told = reconcile(made, "--no-heal")
    assert (code, told[0]["left"]) == (4, 1)
    assert tree(made / "public") == before


def test_metadata_may_come_from_another_target(tmp_path: Path) -> None:
    """A role whose metadata one target has lost is taken from another one, by its hash."""
    config = 'workers = 1\n[targets.one]\nfolder = "one"\n[targets.two]\nfolder = "two"\n'
    made = make_workspace(tmp_path, config)
    deliver(made)
    publish(made)
    before = record_of(made, "one")
    shutil.rmtree(made / "build")
    next((made / "one/uji/metadata").glob("*.ppwp-1101.json")).unlink()
    code, told = reconcile(made, "one")
    assert (code, len(told[0]["found"])) == (0, 1)
    assert record_of(made, "one") == before


def test_nobody_has_a_role(made: Path) -> None:
    """A release with a role that nobody has is not recorded: everything is to be built and compared."""
    shutil.rmtree(made / "build")
    next((made / "public/uji/metadata").glob("*.ppwp-1101.json")).unlink()
    code, told = reconcile(made)
    assert code == 1
    assert "does not verify" in told[0]["error"]
    assert open_record(Workspace(made), "public").read() is None


def test_an_empty_target_keeps_its_record(made: Path) -> None:
    """Where nothing is and something was, the record stays and the exit code is 1; what was never published anywhere is no error."""
    before = record_of(made)
    shutil.rmtree(made / "public")
    code, told = reconcile(made)
    assert code == 1
    assert "release 2 was (public): look at the target's place" in told[0]["error"]
    assert record_of(made) == before
    publish(made, NIGHT + minutes(10))
    assert reconcile(made, "--no-heal") == (0, [{"target": "public", "release": 2, "found": [], "left": 0}])
    shutil.rmtree(made / "public")
    shutil.rmtree(made / "build")
    assert reconcile(made) == (0, [{"target": "public", "release": 0, "found": [], "left": 0}])


@pytest.mark.parametrize("wrong", ["bucket", "prefix"])
def test_a_wrong_place_costs_no_record(storage: Server, tmp_path: Path, wrong: str) -> None:
    """A bucket that is not there, or another prefix, is told with exit code 1; with the right one again nothing has to be learnt anew."""
    config = f"workers = 1\n{storage.target(f'place-{wrong}/')}"
    made = make_workspace(tmp_path, config)
    deliver(made)
    publish(made)
    before = record_of(made, "bucket")
    old, new, text = {
        "bucket": (f'bucket = "{BUCKET}"', 'bucket = "nowhere"', "there is no such bucket"),
        "prefix": ('prefix = "', 'prefix = "other-', "nothing is published there, and release 1 was"),
    }[wrong]
    (made / "terbit.toml").write_text(config.replace(old, new))
    code, told = reconcile(made)
    assert code == 1
    assert text in told[0]["error"]
    assert record_of(made, "bucket") == before


def test_a_foreign_timestamp_is_no_release_of_ours(made: Path, tmp_path: Path) -> None:
    """A release of other keys is not learnt from."""
    other = make_workspace(tmp_path / "other")
    deliver(other)
    publish(other)
    shutil.copytree(other / "public", made / "public", dirs_exist_ok=True)
    code, told = reconcile(made)
    assert code == 1
    assert "no signature of ours" in told[0]["error"]


def test_another_publisher_with_our_keys_is_told(made: Path, tmp_path: Path) -> None:
    """A release that another copy of the workspace has made with the same keys is not taken for our own."""
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    deliver(copy, {"two": correction(revision=3)})
    publish(copy, NIGHT + minutes(10))
    shutil.copytree(copy / "public", made / "public", dirs_exist_ok=True)
    code, told = reconcile(made)
    assert code == 1
    assert "not made here" in told[0]["error"]


def test_unknown_target(made: Path) -> None:
    """A target that the configuration does not name is refused with those that it does."""
    done = CliRunner().invoke(terbit, ["reconcile", "-C", str(made), "nowhere"])
    assert "it has public" in str(done.exception)


def test_pages_that_are_gone_stay_gone(tmp_path: Path) -> None:
    """Where a page of an area that was taken away says so, it is neither taken for a stranger's nor removed."""
    made = make_workspace(tmp_path)
    page = made / "content/pages/id/bantuan.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("# Bantuan\n\nApa saja.\n")
    deliver(made)
    publish(made)
    page.unlink()
    publish(made, NIGHT + minutes(5))
    gone = open_record(Workspace(made), "public").read()
    assert gone is not None
    assert gone.gone == ("bantuan.html",)
    shutil.rmtree(made / "build")
    assert reconcile(made) == (0, [{"target": "public", "release": 2, "found": [], "left": 0}])
    assert open_record(Workspace(made), "public").read() == gone
