"""Targets as the configuration names them."""

import hashlib
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from publish.errors import ConfigError
from publish.targets import Target
from publish.targets.local import LocalTarget
from publish.targets.waiting import say_on_stderr
from publish.workspace import Workspace

if TYPE_CHECKING:
    from publish.config import TargetConfig

__all__ = ["open_exchange", "open_targets"]


def open_targets(workspace: Workspace, tell: Callable[[str], None] = say_on_stderr) -> list[Target]:
    """All targets, in the configuration's order. Nothing is asked of them yet; `tell` is for waits that take long."""
    local = {target.name: target for target in workspace.local_targets()}
    return [
        local.get(name) or _bucket(workspace, name, config, tell) for name, config in workspace.config.targets.items()
    ]


def open_exchange(workspace: Workspace) -> Target:
    """The place where drafts wait for their second signer. ConfigError if none is configured."""
    config = workspace.config.exchange
    if config is None:
        raise ConfigError(
            "terbit.toml: [exchange] says where drafts wait for the second signer, and there is none [exchange]"
        )
    if config.folder is not None:
        folder = workspace.directory / config.folder / workspace.definition.election.id
        return LocalTarget("exchange", folder, workspace.build / "exchange" / "set-aside")
    return _bucket(workspace, "exchange", config)


def _bucket(
    workspace: Workspace, name: str, config: "TargetConfig", tell: Callable[[str], None] = say_on_stderr
) -> Target:
    from publish.targets.bucket import open_bucket
    from publish.targets.s3 import S3Target

    guard = workspace.config.guard.profile
    return S3Target(
        name,
        open_bucket(config, workspace.definition.election.id, tell=lambda text: tell(f"{name}: {text}")),
        known=workspace.build / "targets" / name / f"conditions-{_server(config)}",
        clock=lambda: datetime.now(UTC),
        owner=f"{socket.gethostname()}:{workspace.directory.resolve()}",
        without_conditions=config.without_conditions,
        mender=open_bucket(config, workspace.definition.election.id, guard) if guard else None,
    )


def _server(config: "TargetConfig") -> str:
    """What was found out about one server says nothing about another one."""
    return hashlib.sha256(f"{config.endpoint} {config.region} {config.bucket}".encode()).hexdigest()[:16]
