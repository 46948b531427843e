"""Options with which commands are told whom to trust, and when it is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from verifier.fetcher import Fetcher
    from verifier.trust import Trust, TrustStore

__all__ = ["TrustOptions", "now_option", "trust_options"]


@dataclass(frozen=True)
class TrustOptions:
    """What the options say; nothing is read yet."""

    root: Path | None
    root_sha256: str | None
    state: Path | None

    def find(self, place: str, fetcher: Fetcher) -> tuple[TrustStore, Trust]:
        """The root to start from at `place`, and where to remember it."""
        from verifier.trust import TrustStore, state_home

        store = TrustStore(state_home(os.environ))
        if self.root is not None:
            return store, store.pin_file(self.root, self.state)
        if self.root_sha256 is not None:
            return store, store.pin_fingerprint(self.root_sha256, fetcher, self.state)
        return store, store.find(place, self.state)


def trust_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--root`, `--root-sha256` and `--state`, as its parameter `trust`."""

    @click.option(
        "--root",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Trust this root.json, which you have from a source that you trust.",
    )
    @click.option(
        "--root-sha256", metavar="HEX", help="Trust the site's first root, if it has this printed fingerprint."
    )
    @click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where to keep what was verified between runs.",
    )
    @wraps(command)
    def with_trust(root: Path | None, root_sha256: str | None, state: Path | None, **others: object) -> None:
        if root is not None and root_sha256 is not None:
            raise click.UsageError("--root and --root-sha256 exclude each other")
        if root_sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", root_sha256):
            raise click.UsageError(
                f"--root-sha256 wants the 64 hex digits of the printed fingerprint, not {root_sha256!r}"
            )
        command(trust=TrustOptions(root, root_sha256, state), **others)

    return with_trust


def _moment(context: click.Context, parameter: click.Parameter, value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value else None


now_option = click.option(
    "--now",
    hidden=True,
    callback=_moment,
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    help="Judge expiry at this time.",
)
