"""Workspaces that several tests begin with; each takes its own copy, and nothing changes these."""

from pathlib import Path

import pytest

from tests.election import NIGHT, correction, minutes
from tests.publish.workspace import copy_tree, deliver, make_workspace, publish


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
