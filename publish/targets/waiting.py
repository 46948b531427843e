"""Requests repeated while a server is busy or a connection breaks: by all threads of a bucket together, and as long as the server asks for."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from obstore.exceptions import GenericError

from publish.errors import TargetError
from verifier.printable import say

__all__ = ["BUSY", "Patience", "Waiting", "say_on_stderr"]

BUSY = frozenset([408, 429, 500, 502, 503, 504])
TOLD_SECONDS = 1.0  # waits as long as this are told

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for, in seconds, and how often it is asked again after a lost connection, 429 or 5xx.

    Whatever happens, one request ends within a minute, since the other targets wait for one that is down; a pack's takes as long as its bytes may.
    """

    connect: float = 5.0
    answer: float = 30.0  # from connecting to the last byte
    retries: int = 8
    first_wait: float = 0.2
    longest_wait: float = 10.0  # where the server does not say how long
    altogether: float = 30.0  # no request is repeated after that


def say_on_stderr(text: str) -> None:
    say(text, err=True)


class Waiting:
    """The patience of one bucket. `asked`: the seconds for which the server asks to be left alone at this moment, 0 if it does not."""

    def __init__(self, asked: Callable[[], float] = lambda: 0.0, tell: Callable[[str], None] = say_on_stderr) -> None:
        self._asked, self._tell = asked, tell
        self._lock, self._until = Lock(), 0.0

    def repeat(self, request: Callable[[], T], patience: Patience) -> T:
        """Make a request until it is answered for good.

        What may have been done although its answer was lost is repeated too: callers compare what stands there when that is refused.

        Raises:
            TargetError: the server asks for more time than there is.
        """
        start, attempt = time.monotonic(), 0
        while True:
            self._wait()
            try:
                return request()
            except GenericError as error:
                attempt += 1
                status = _status(error)
                left = patience.altogether - (time.monotonic() - start)
                if attempt > patience.retries or left <= 0 or (status and status not in BUSY):
                    raise
                longest = min(patience.longest_wait, patience.first_wait * 2**attempt)
                pause = random.uniform(patience.first_wait, longest)  # noqa: S311 - only spreads the load
                if status:
                    self._leave_alone(status, pause, left, error)
                else:
                    time.sleep(min(pause, left))

    def _wait(self) -> None:
        while (left := self._until - time.monotonic()) > 0:
            time.sleep(left)

    def _leave_alone(self, status: int, pause: float, most: float, error: GenericError) -> None:
        """Nobody asks for a while: as long as the server says (the storage library keeps that to itself, so it is asked once more), else for `pause` seconds."""
        with self._lock:
            if self._until > time.monotonic():
                return  # another thread has heard it already
            asked = self._asked()
            if asked > most:
                raise TargetError(
                    f"the server answers {status} and asks us to wait {asked:,.0f} s, longer than one run waits"
                ) from error
            wait = max(asked, min(pause, most))
            self._until = time.monotonic() + wait
        if wait >= TOLD_SECONDS:
            told = f"asks us to wait {wait:.0f} s" if asked else f"is busy; waiting {wait:.0f} s"
            self._tell(f"The server answers {status} and {told}; asking again then.")


def _status(error: GenericError) -> int:
    """The status of an answer, 0 where there was none."""
    found = re.search(r"status code: (\d{3})", str(error))
    return int(found[1]) if found else 0
