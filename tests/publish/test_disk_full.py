"""The workspace's disk, or a folder that is published to, is full: the last release stays whole, the other targets get theirs, the next run finishes."""

import errno
import os
import random
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.errors import BuilderError
from publish.errors import PublishError, TargetError
from tests.killer import opens_to_write
from tests.publish.test_faults import LATER, POINTERS, release
from tests.publish.workspace import copy_tree, publish

CREATES = frozenset(["os.mkdir", "os.link", "os.rename"])


class Disk:
    """Full from the `room`-th new name or opened file beneath `folder` on; an audit hook cannot be removed, so there is one for all tests."""

    def __init__(self) -> None:
        self.folder, self.room, self.used = "", 0, 0
        sys.addaudithook(self._watch)

    @contextmanager
    def full(self, folder: Path, room: int) -> Iterator[None]:
        self.folder, self.room, self.used = str(folder), room, 0
        try:
            yield
        finally:
            self.folder = ""

    def _watch(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.folder or not (event in CREATES or opens_to_write(event, arguments)):
            return
        if any(str(one).startswith(self.folder) for one in arguments[:2]):
            self.used += 1
            if self.used > self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))


@pytest.fixture(scope="module")
def disk() -> Disk:
    return Disk()


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    workspace = copy_tree(prepared, tmp_path_factory.mktemp("whole") / "copy")
    publish(workspace, LATER)
    return held(workspace)


def held(workspace: Path, folder: str = "public") -> dict[str, bytes]:
    place = workspace / folder
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def check_whole(workspace: Path, state: Path) -> None:
    root = (workspace / "keys/metadata/1.root.json").read_bytes()
    assert release(held(workspace), root, state) in (1, 2)


def check_finished(workspace: Path, undisturbed: dict[str, bytes]) -> None:
    publish(workspace, LATER)
    after = held(workspace)
    assert after.keys() == undisturbed.keys()
    assert {path for path in after if after[path] != undisturbed[path]} <= POINTERS


def test_no_room_for_another_file(disk: Disk, prepared: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """Whichever file is the first for which there is no room, in the ledger, the draft, the record or the public folder."""
    whole = copy_tree(prepared, tmp_path / "whole")
    with disk.full(whole, 10**9):
        publish(whole, LATER)
    total = disk.used
    assert total > 100
    for room in [*range(random.randrange(25), total - 3, 25), total - 3, total - 1]:
        workspace = copy_tree(prepared, tmp_path / str(room))
        with disk.full(workspace, room), pytest.raises((OSError, PublishError, BuilderError)) as told:
            publish(workspace, LATER)
        assert "No space left" in str(told.value), room
        assert "\n" not in str(told.value), room
        check_whole(workspace, tmp_path / f"{room}-state")
        check_finished(workspace, undisturbed)


@pytest.mark.parametrize("size", [0, 300, 3_000, 12_000])
def test_a_write_breaks_off(prepared: Path, undisturbed: dict[str, bytes], tmp_path: Path, size: int) -> None:
    """Files that can only be written up to some size: what was begun is not taken for whole by the next run."""
    workspace = copy_tree(prepared, tmp_path / "copy")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises((OSError, PublishError, BuilderError)) as told:
            publish(workspace, LATER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(told.value)
    check_whole(workspace, tmp_path / "state")
    check_finished(workspace, undisturbed)


@pytest.mark.parametrize("room", [0, 5, 60, 150])
def test_one_folder_is_full(
    disk: Disk, prepared: Path, undisturbed: dict[str, bytes], tmp_path: Path, room: int
) -> None:
    """Of several targets one is full from some file on: the others get the release in the same run, this one in the next."""
    workspace = copy_tree(prepared, tmp_path / "copy")
    more = 'workers = 1\n[targets.small]\nfolder = "small"\n[targets.public]\nfolder = "public"\n'
    (workspace / "terbit.toml").write_text(more)
    with disk.full(workspace / "small", room), pytest.raises(TargetError, match=r"small: .*No space left"):
        publish(workspace, LATER)
    after = held(workspace)
    assert {path for path in after if after[path] != undisturbed[path]} <= POINTERS
    assert not (workspace / "small" / "uji" / "metadata" / "timestamp.json").exists() or room > 100
    publish(workspace, LATER)
    assert held(workspace, "small").keys() - held(workspace).keys() == set()
    root = (workspace / "keys/metadata/1.root.json").read_bytes()
    assert release(held(workspace, "small"), root, tmp_path / "state") == 2
