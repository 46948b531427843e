"""What the commands of `terbit-verify` share: how they read, and how they tell what they found."""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, TypeVar

import click

from verifier.errors import FormatError, VerificationError, VerifierError
from verifier.printable import say

__all__ = [
    "collection_paused",
    "in_words",
    "progress_bar",
    "read_file",
    "read_own",
    "repeated",
    "reported",
    "told",
    "write_json",
]

T = TypeVar("T")

QUIET_SECONDS = 2
JITTER = 0.2


def read_file(file: Path, cap: int, too_long: type[VerifierError] = VerificationError) -> bytes:
    """The bytes of a file that the user named, up to `cap`; a pipe is fine here."""
    try:
        with file.open("rb") as stream:
            data = stream.read(cap + 1)
    except OSError as error:
        raise VerifierError(f"{file} cannot be read: {error.strerror}") from None
    if len(data) > cap:
        raise too_long(f"{file} is longer than the {cap} bytes that it may have")
    return data


def read_own(file: Path, cap: int, parse: Callable[[bytes], T]) -> T:
    """A file of the user's own: key, policy, passphrase. What is wrong with it says nothing about what was published."""
    data = read_file(file, cap, VerifierError)
    try:
        return parse(data)
    except (FormatError, VerificationError) as error:
        raise VerifierError(f"{file}: {error}") from None


def write_json(document: dict[str, object]) -> None:
    """One object on one line of stdout."""
    click.echo(json.dumps(document, sort_keys=True))


def in_words(moment: datetime | float) -> str:
    """A time, or Unix seconds, for people."""
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def told(error: VerifierError | OSError, *, as_json: bool) -> int:
    """Tell an error on standard error, and as a JSON object if asked for; its exit status."""
    if as_json:
        write_json({"verified": False, "error": str(error)})
    say(f"terbit-verify: {error}", err=True)
    return error.exit_code if isinstance(error, VerifierError) else VerifierError.exit_code


@contextmanager
def reported(*, as_json: bool = False) -> Iterator[None]:
    """Tell an error, and exit with its status."""
    try:
        yield
    except (VerifierError, OSError) as error:
        sys.exit(told(error, as_json=as_json))


def repeated(once: Callable[[], int], watch: int | None, *, as_json: bool) -> NoReturn:
    """Exit with the status that `once` gives; or with `watch`, go on, with about so many seconds between its runs."""
    while True:
        try:
            code = once()
        except (VerifierError, OSError) as error:
            code = told(error, as_json=as_json)
        if watch is None:
            sys.exit(code)
        # Many that were started by the same clock must not all come in the same second.
        time.sleep(watch * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311


@contextmanager
def collection_paused() -> Iterator[None]:
    """The metadata of a nation is a million objects that all stay until the end: looking for garbage among them
    again and again took a third of the time that they took."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def progress_bar(label: str = "Checking files") -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, if that is a terminal, for checks that take over two seconds."""
    if not sys.stderr.isatty():
        yield lambda done, known: None
        return
    from rich.console import Console
    from rich.progress import Progress

    start = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True, disable=False) as bar:
        task = bar.add_task(label, total=None, visible=False)
        yield lambda done, known: bar.update(
            task, completed=done, total=known, visible=time.monotonic() - start > QUIET_SECONDS
        )
