"""What several tests begin with: workspaces, of which each takes its own copy, and object storage, where each has its own prefix."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.election import NIGHT, correction, minutes
from tests.publish.workspace import copy_tree, deliver, make_workspace, publish
from tests.storage import Server, seaweedfs


@pytest.fixture(scope="session")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One release is out."""
    workspace = make_workspace(tmp_path_factory.mktemp("first"))
    deliver(workspace)
    publish(workspace)
    return workspace


@pytest.fixture(scope="session")
def prepared(first_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One release is out, and the next one's packages are in the inbox."""
    workspace = copy_tree(first_release, tmp_path_factory.mktemp("prepared") / "copy")
    deliver(workspace, {"one": correction(), "two": correction("110102", 1)})
    return workspace


@pytest.fixture(scope="session")
def published(first_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases are out: everything, then one corrected station."""
    workspace = copy_tree(first_release, tmp_path_factory.mktemp("published") / "copy")
    deliver(workspace, {"one": correction()})
    publish(workspace, NIGHT + minutes(5))
    return workspace


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real S3 server."""
    with seaweedfs(tmp_path_factory.mktemp("weed") / "weed") as server:
        yield server


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the server's administrator, in the environment."""
    for name, value in Server("").environment().items():
        monkeypatch.setenv(name, value)
