"""A heartbeat while somebody thinks: the last release must not look old because a question is unanswered."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

from publish.errors import PublishError
from publish.progress import Stages
from publish.release.flow import Flow

__all__ = ["renewing"]


@contextmanager
def renewing(flow: Flow, every: timedelta) -> Iterator[None]:
    """Renew the timestamp again and again at the targets of `flow`, which looks at them anew afterwards."""
    stop = Event()

    def work() -> None:
        while not stop.wait(every.total_seconds()):
            # A run of its own: each renewal replaces the timestamp that the one before has left.
            with Flow(flow.workspace, Stages(quiet=True), datetime.now(UTC).replace(microsecond=0)) as other:
                other.keyring = flow.keyring  # unlocked already
                with suppress(PublishError, OSError):  # the next one may succeed, and the run itself will tell
                    other.heartbeat()

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        flow.look_again()
