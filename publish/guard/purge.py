"""What the guard put right, or finds wrong in a cache alone, is purged from the CDN: else the public goes on seeing it for as long as it is cached."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from publish.cdn.purger import open_purgers
from publish.guard.judge import Finding
from publish.guard.listing import ASIDE, is_plain
from publish.progress import Stages
from publish.workspace import Workspace

__all__ = ["purged"]


def purged(
    workspace: Workspace, target: str, findings: Sequence[Finding], due: Callable[[Finding], bool], now: datetime
) -> list[Finding]:
    """The findings, with what the CDN of `target` was told about those that are `due`; as they are where it has none."""
    purger = open_purgers(workspace, Stages(quiet=True)).get(target)
    wanted = {one.path for one in findings if due(one) and is_plain(one.path) and not one.path.startswith(ASIDE)}
    if purger is None or not wanted:
        return list(findings)
    told = purger.repair(sorted(wanted), f"guard-{now.timestamp():.3f}")
    return [
        msgspec.structs.replace(one, done=f"{one.done}; {told}" if one.done else told)
        if due(one) and one.path in wanted
        else one
        for one in findings
    ]
