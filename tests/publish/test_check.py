"""The check before a commit: what the public would refuse is not published, in one process or several."""

from pathlib import Path

import pytest

from publish.errors import SigningError
from publish.progress import Stages
from publish.release.flow import Flow
from publish.release.intake import take_in_packages
from publish.workspace import Workspace
from tests.election import NIGHT
from tests.publish.workspace import deliver, make_workspace


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("damaged", ["files/ppwp-1101.pack", "signatures/ppwp-1101.pack", "metadata/1.ppwp-1101.json"])
def test_damaged_draft(tmp_path: Path, damaged: str, workers: int) -> None:
    """A file, a signature or a role that was changed after its signing stops the release before its commit."""
    workspace, stages = Workspace(make_workspace(tmp_path, f"workers = {workers}\n")), Stages(quiet=True)
    deliver(tmp_path)
    with workspace.lock(), Flow(workspace, stages, NIGHT) as flow:
        take_in_packages(workspace, (), stages, NIGHT)
        flow.workers.start()
        flow.sign()
        path = flow.draft.directory / damaged
        data = path.read_bytes()
        path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
        with pytest.raises(SigningError, match="our own check refuses this release"):
            flow.publish()
    assert not (workspace.public / "uji" / "metadata" / "timestamp.json").exists()
