"""Options of several commands: whom to trust, and when it is."""

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
    from verifier.client import Client
    from verifier.fetcher import Fetcher
    from verifier.trust import Trust, TrustStore

__all__ = ["FILE", "FOLDER", "NEW_FILE", "TrustOptions", "now_option", "root_options", "trust_options"]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


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

    def client(self, place: str, fetcher: Fetcher, now: datetime | None) -> Client:
        """A client that was refreshed at `place`, by the clock unless `now` is given; the root is remembered for later runs."""
        from verifier.client import Client

        store, found = self.find(place, fetcher)
        client = Client(fetcher, found.state, now or datetime.now(UTC), found.root)
        client.refresh()
        store.remember(place, found)
        return client


def _fingerprint(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise click.UsageError(f"--root-sha256 wants the 64 hex digits of the printed fingerprint, not {value!r}")
    return value


def root_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--root` and `--root-sha256`."""
    root = click.option("--root", type=FILE, help="Trust this root.json, which you have from a source that you trust.")
    fingerprint = click.option(
        "--root-sha256",
        metavar="HEX",
        callback=_fingerprint,
        help="Trust the site's first root, if it has this printed fingerprint.",
    )
    return root(fingerprint(command))


def trust_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--root`, `--root-sha256` and `--state`, as its parameter `trust`."""

    @root_options
    @click.option("--state", type=FOLDER, help="Where to keep what was verified between runs.")
    @wraps(command)
    def with_trust(root: Path | None, root_sha256: str | None, state: Path | None, **others: object) -> None:
        if root is not None and root_sha256 is not None:
            raise click.UsageError("--root and --root-sha256 exclude each other")
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
