"""Who stole the online keys and the log's shows older offline-signed metadata to a client that comes for the first time: the log knows of the newer one."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from builder.ledger import Cut
from publish.cli.keys import keys
from publish.translog import log
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.officials import Official
from tests.publish.test_audit import LATER, Published
from tests.publish.test_officials import enrol, offline_sign
from tests.publish.workspace import copy_tree
from verifier.cli.main import main


def newcomer(site: Published, folder: Path) -> Result:
    """`terbit-verify site` by somebody who has never been there."""
    options = ["--root", str(site.root), "--state", str(folder / "newcomer"), "--now", f"{LATER:%Y-%m-%dT%H:%M:%SZ}"]
    return CliRunner().invoke(main, ["site", str(site.public.parent), *options])


@pytest.fixture
def tightened(first_release: Path, tmp_path: Path) -> Published:
    """A release; then one under a new `trust`, with officials."""
    site = Published(copy_tree(first_release, tmp_path / "site"))
    shutil.copytree(site.folder / "keys", tmp_path / "old-keys")
    enrol(site.folder, Official("1101").line("1101", "uji"))
    offline_sign(site.folder)
    site.release(NIGHT + minutes(1))
    return site


def test_honest_changes_pass(tightened: Published, tmp_path: Path) -> None:
    """A new trust is no reason to complain, for those who come for the first time."""
    done = newcomer(tightened, tmp_path)
    assert done.exit_code == 0, done.output


def take_back(site: Published, old_keys: Path) -> None:
    """What a thief's machine has: the keys, and the offline-signed metadata of before."""
    shutil.rmtree(site.folder / "keys")
    shutil.copytree(old_keys, site.folder / "keys")
    (site.folder / "content" / "allowed_signers").unlink()


def test_an_older_trust_is_told_to_newcomers(tightened: Published, tmp_path: Path) -> None:
    """THREATS 31: a release that goes back to an older trust, signed with all online keys and logged, is refused by who never saw the newer one."""
    take_back(tightened, tmp_path / "old-keys")
    tightened.release(NIGHT + minutes(2), fix=correction())
    done = newcomer(tightened, tmp_path)
    assert done.exit_code == 4
    assert "ROLLBACK: the release goes back to offline-signed metadata" in done.output
    assert any("goes back to" in problem for problem in tightened.report()["problems"])  # type: ignore[attr-defined]


def test_an_older_trust_under_the_newer_ones_name(
    tightened: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """THREATS 31: to log the newer trust, and to show the older one, helps no thief."""
    newer = Workspace(tightened.folder).ledger.cuts[-1].trust
    take_back(tightened, tmp_path / "old-keys")
    honest = log.entry
    with monkeypatch.context() as inside:
        inside.setattr(log, "entry", lambda one: honest(replace(one, trust=newer) if isinstance(one, Cut) else one))
        tightened.release(NIGHT + minutes(2), fix=correction())
    done = newcomer(tightened, tmp_path)
    assert done.exit_code == 4
    assert "was logged with other offline-signed metadata than is shown" in done.output


def test_a_withheld_root_is_told_to_newcomers(first_release: Path, tmp_path: Path) -> None:
    """THREATS 31: who withholds the root that took his keys away, and signs on with these, is refused by who never saw that root."""
    site = Published(copy_tree(first_release, tmp_path / "site"))
    shutil.copytree(site.folder / "keys", tmp_path / "old-keys")
    rotated = CliRunner().invoke(keys, ["rotate", "snapshot", "--no-passphrase", "-C", str(site.folder)])
    assert rotated.exit_code == 3, rotated.output
    offline_sign(site.folder)
    site.release(NIGHT + minutes(1), fix=correction())
    assert newcomer(site, tmp_path).exit_code == 0
    shutil.rmtree(tmp_path / "newcomer")
    shutil.rmtree(site.folder / "keys")
    shutil.copytree(tmp_path / "old-keys", site.folder / "keys")
    (site.public / "metadata" / "2.root.json").unlink()
    site.release(NIGHT + minutes(2), fix3=correction(revision=3))
    done = newcomer(site, tmp_path)
    assert done.exit_code == 4
    assert "root 2 was logged before this release" in done.output
