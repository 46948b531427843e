"""Where a stranger's templates run: processes of their own, each with so much memory, and all of them with so much time.

An audit runs what the publisher wrote. The sandbox (builder/templates.py) keeps templates from reaching anything but their values; nothing within a process
keeps them from looping without end or filling the memory. So the audit waits outside, and ends those that do.
"""

import resource
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import Self, TypeVar

from builder.errors import BuilderError
from verifier import limits
from verifier.errors import VerifierError
from verifier.processes import end_with_parent

__all__ = ["BuildError", "Workshop"]

T = TypeVar("T")

MESSAGE_CHARACTERS = 2_000


class BuildError(VerifierError):
    """Something cannot be made from the inputs; the message says why."""


class Workshop:
    """Up to `processes` processes. They start when there is work, and live until the end, or until one of them fails."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(self, work: Callable[..., T], tasks: Iterable[tuple[object, ...]]) -> list[T]:
        """What `work` gives for the arguments of each task, in order; all of them within limits.AUDIT_BUILD_SECONDS.

        Raises:
            BuildError: one failed, they did not end in time, or a process went beyond its memory.
        """
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._processes, get_context("spawn"), _limit_memory, (limits.AUDIT_WORKER_BYTES,)
            )
        try:
            futures = [self._pool.submit(_bounded, work, task) for task in tasks]
            done, unfinished = wait(futures, limits.AUDIT_BUILD_SECONDS, FIRST_EXCEPTION)
            for future in done:
                future.result()
        except BrokenProcessPool:
            self._end()
            raise BuildError(f"a process that rendered broke off; {_memory()}") from None
        except BaseException:
            self._end()
            raise
        if unfinished:
            self._end()
            raise BuildError(f"the templates did not finish within {limits.AUDIT_BUILD_SECONDS} seconds")
        return [future.result() for future in futures]

    def _end(self) -> None:
        """End all processes, whatever they do: nobody waits for one that loops."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list(pool._processes.values()):  # the public `kill_workers` is Python 3.14's
                process.kill()
            pool.shutdown(cancel_futures=True)


def _limit_memory(most: int) -> None:
    end_with_parent()
    _limit(resource.RLIMIT_DATA, most)
    _limit(resource.RLIMIT_CORE, 0)


def _bounded(work: Callable[..., T], task: tuple[object, ...]) -> T:
    """One task. Should the audit itself be killed, the processor's clock ends whatever loops here."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + limits.AUDIT_BUILD_SECONDS)
    try:
        return work(*task)
    except (BuilderError, VerifierError) as error:  # the builder's errors cannot travel between processes
        raise BuildError(str(error)[:MESSAGE_CHARACTERS]) from None
    except MemoryError:
        raise BuildError(f"too little memory; {_memory()}") from None
    # Templates and content are a stranger's: whatever they raise is a finding, and no end of the audit; so is what libraries in Rust call a panic.
    except BaseException as error:
        raise BuildError(f"{type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]) from None


def _memory() -> str:
    return f"a process has {limits.AUDIT_WORKER_BYTES} bytes of memory"


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
