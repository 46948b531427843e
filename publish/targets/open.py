"""Targets as the configuration names them."""

from publish.targets import Target
from publish.workspace import Workspace

__all__ = ["open_targets"]


def open_targets(workspace: Workspace) -> list[Target]:
    """All targets, in the configuration's order. Nothing is asked of them yet."""
    return list(workspace.local_targets())
