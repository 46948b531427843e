"""While somebody thinks: a heartbeat, so that the last release does not look old, and a free workspace, so that the guard goes on mending its pages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from threading import Event, Thread

from builder.ledger import Ledger
from publish.errors import DriftError, PublishError
from publish.progress import Stages
from publish.release.flow import Flow
from publish.release.held import Held
from publish.release.pushes import Pushes
from publish.workspace import Workspace

__all__ = ["renewing"]


@contextmanager
def renewing(flow: Flow, every: timedelta, clock: Callable[[], datetime]) -> Iterator[None]:
    """Renew the timestamp again and again at the targets of `flow`, which looks at them anew afterwards. The workspace's lock is free meanwhile.

    Raises:
        DriftError: when it ends, if somebody else has changed the ledger or published in the meantime.
    """
    before, stop = _basis(flow), Event()

    def work() -> None:
        while not stop.wait(every.total_seconds()):
            # A run of its own: each renewal replaces the timestamp that the one before has left.
            workspace = Workspace(flow.workspace.directory)
            # The next one may succeed, whoever is publishing renews it too, and the run itself will tell.
            with suppress(PublishError, OSError), workspace.lock():
                keyring, stages = flow.keyring, Stages(quiet=True)  # the keys are unlocked already
                held = Held(workspace, keyring, stages)
                Pushes(workspace, keyring, stages, held).heartbeat(clock())

    thread = Thread(target=work, daemon=True)
    with flow.workspace.unlocked():
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            flow.held.look_again()
    if _basis(flow) != before:
        raise DriftError(
            "while the question was open somebody else took packages in or published from here; nothing was published now. Look again: run the same command"
        )


def _basis(flow: Flow) -> tuple[str, dict[str, int]]:
    """What an answer rests on: the ledger as it lies on the disk, and the release that each target holds."""
    releases = {name: record.release for name, record in flow.held.records().items() if record}
    return Ledger(flow.workspace.ledger.directory).end, releases
