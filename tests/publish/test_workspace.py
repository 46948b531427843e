"""The workspace's folders."""

from pathlib import Path

from publish.workspace import Workspace


def test_build_is_the_owners_alone(tmp_path: Path) -> None:
    """The folder of drafts and caches, which are published as they are, is open to its owner alone."""
    (tmp_path / "terbit.toml").write_text("")
    workspace = Workspace(tmp_path)
    with workspace.lock():
        assert workspace.build.stat().st_mode & 0o777 == 0o700
