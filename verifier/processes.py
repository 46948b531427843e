"""Processes that help another one."""

import os
import threading
from multiprocessing import parent_process

__all__ = ["end_with_parent"]


def end_with_parent() -> None:
    """To be called first in a process that was started to work for another one: when that is gone, however it ended, so is this one.

    A pool's processes wait for work for ever, and one that goes on with what it has writes beside the next run, which no lock keeps from it.
    """
    if (parent := parent_process()) is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
