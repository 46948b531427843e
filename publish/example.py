"""The example election: a workspace to begin with, and the demo that publishes it and checks it as anyone would."""

import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from builder.site import packaged_templates
from publish.cli.keys import create_keys
from publish.cli.run import now
from publish.config import DEFAULT_CONFIG
from publish.errors import PublishError
from verifier.printable import counted

__all__ = ["copy_templates", "make_workspace", "run_demo"]

NOT_OURS = shutil.ignore_patterns("__*", ".*")
MARK = "terbit-demo.txt"
MARK_TEXT = "`terbit demo` made this folder, and deletes everything in it when it is run here again.\n"


def make_workspace(directory: Path) -> list[Path]:
    """Make a new workspace with the example election; returns what was made. A folder that has something in it is left alone."""
    _begin(directory)
    shutil.copytree(_packaged_content(), directory / "content", ignore=NOT_OURS)
    shutil.copyfile(DEFAULT_CONFIG, directory / "terbit.toml")
    (directory / "inbox").mkdir()
    return [directory / name for name in ("terbit.toml", "content", "inbox")]


def copy_templates(directory: Path) -> None:
    """Copy Terbit's own templates, to be changed. A folder that has something in it is left alone."""
    _begin(directory)
    shutil.copytree(packaged_templates(), directory, ignore=NOT_OURS, dirs_exist_ok=True)


def _begin(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()):
        raise PublishError(f"{directory} is not empty; name a new folder")
    directory.mkdir(parents=True, exist_ok=True)


def run_demo(directory: Path) -> None:
    """Publish the example election in three releases (first count, recaps, a correction), then verify it from its first root."""
    from builder.importers.csv import CsvMap
    from builder.importers.delivery import import_results
    from builder.importers.source import load_map
    from publish.progress import Stages
    from publish.release.flow import Flow
    from publish.release.intake import take_in_packages
    from publish.workspace import Workspace

    directory = directory.resolve()
    _clear(directory)
    make_workspace(directory)
    (directory / MARK).write_text(MARK_TEXT)
    workspace = Workspace(directory)
    create_keys(workspace, now())
    example = directory / "content" / "example"
    for data, mapping, reason in (
        ("count", "count", None),
        ("recap", "recap", None),
        ("correction", "count", "transcription"),
    ):
        workspace, stages = Workspace(directory), Stages(quiet=True)
        csv_map = load_map(str(example / f"{mapping}.toml"), CsvMap)
        import_results(
            example / f"{data}.csv", csv_map, workspace.definition, workspace.rows,
            reason=reason, out=workspace.inbox,
        )  # fmt: skip
        with workspace.lock(), Flow(workspace, stages, now()) as flow:
            report = take_in_packages(workspace, (), stages, flow.now)
            told = flow.publish()
        _say(
            f"Release {told['release']}: {counted(len(report.accepted), 'package')} with {counted(report.rows, 'row')}, {counted(int(told['files']), 'file')}"
        )
    _verify(directory)


def _verify(directory: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from publish.workspace import Workspace
    from verifier.client import Client
    from verifier.errors import VerificationError
    from verifier.fetcher import DirectoryFetcher
    from verifier.site import check_site

    workspace = Workspace(directory)
    root = workspace.keys / "metadata" / "1.root.json"
    fetcher = DirectoryFetcher(workspace.public / workspace.definition.election.id)
    with tempfile.TemporaryDirectory() as state, ThreadPoolExecutor(2) as executor:
        client = Client(fetcher, Path(state), now(), root=root.read_bytes())
        client.refresh()
        report = check_site(client, fetcher, executor, signatures=True)
    if report.failures:
        raise VerificationError(f"the demo does not verify: {report.failures[0]}")
    _say(
        f"Verified from the first root: {report.files} files, {report.signatures} minisign signatures, release {report.release}"
    )
    _say("Throw-away keys without passphrase: a demo, not an election.\n")
    program = Path(sys.argv[0]).parent
    print(f"Look at it:  {program / 'terbit'} serve {directory / 'public'}")
    print(
        f"Check it:    {program / 'terbit-verify'} site {directory / 'public'} --root {directory / 'keys/metadata/1.root.json'}"
    )


def _clear(directory: Path) -> None:
    """Delete an earlier demo. What is not marked as one may hold keys and a ledger, and is left alone."""
    entries = list(directory.iterdir()) if directory.exists() else []
    mark = directory / MARK
    if entries and mark not in entries:
        raise PublishError(f"{directory} is not empty and not a demo; name another folder")
    # The mark goes last, so that a stopped run can be repeated; the folder stays, since we may stand in it.
    for entry in sorted(entries, key=lambda entry: entry == mark):
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _packaged_content() -> Path:
    spec = find_spec("content")
    if spec is None or not spec.submodule_search_locations:
        raise PublishError("the example election did not come with this installation; install terbit again")
    return Path(next(iter(spec.submodule_search_locations)))


def _say(text: str) -> None:
    print(text, file=sys.stderr)
