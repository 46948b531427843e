"""A whole workspace for tests: the small election, throw-away keys, and one run of the publisher."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from builder.inbox import IntakeReport
from builder.site import Site, entry_of
from publish.cli.keys import create_keys
from publish.progress import Stages
from publish.release.flow import Flow
from publish.release.intake import take_in_packages
from publish.signing.keys import ONLINE_COST, read_secret_key, write_secret_key
from publish.workspace import Workspace
from tests.election import NIGHT, first_packages, write_definition, write_package

__all__ = ["changed_area_files", "copy_tree", "deliver", "encrypt_keys", "make_workspace", "publish", "tree"]


def make_workspace(directory: Path, config: str = "workers = 1\n") -> Path:
    """Definition, configuration and keys; nothing handed in yet."""
    write_definition(directory / "content")
    (directory / "terbit.toml").write_text(config)
    create_keys(Workspace(directory), NIGHT)
    return directory


def encrypt_keys(directory: Path, passphrase: bytes) -> None:
    """Close the online keys, as an operator has them who gives the passphrase at each run."""
    for path in sorted((directory / "keys" / "online").iterdir()):
        key = read_secret_key(path, None)
        path.unlink()
        write_secret_key(path, key, passphrase, ONLINE_COST, os.urandom)


def copy_tree(source: Path, place: Path) -> Path:
    """A copy that a test may spoil, with its links: an alias is one file with its object."""
    subprocess.run(["cp", "-a", source, place], check=True)
    return place


def deliver(directory: Path, packages: Mapping[str, Mapping[str, bytes]] | None = None) -> None:
    for name, files in (packages or first_packages()).items():
        write_package(directory / "inbox" / name, files)


def publish(directory: Path, now: datetime = NIGHT) -> tuple[IntakeReport, dict[str, object]]:
    """`terbit publish` at time `now`."""
    workspace, stages = Workspace(directory), Stages(quiet=True)
    with workspace.lock(), Flow(workspace, stages, now) as flow:
        report = take_in_packages(workspace, (), stages, now)
        return report, flow.publish()


def tree(directory: Path, *, leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Path and hash of every file, but for names in `leave_out`."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name not in leave_out
    }


def changed_area_files(change: Callable[[str, bytes], bytes]) -> Callable[..., Iterator[object]]:
    """For the place of `Site.area_files`: what an insider's builder makes, who changes files by path and bytes."""
    honest = Site.area_files

    def area_files(self: Site, *arguments: object) -> Iterator[object]:
        for entry, data in honest(self, *arguments):  # type: ignore[arg-type]
            yield entry_of(entry.path, change(entry.path, data))

    return area_files
