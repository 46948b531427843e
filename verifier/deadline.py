"""A time limit on a whole exchange over HTTP: a server that drips a byte now and then never hits a read timeout."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

__all__ = ["Deadline", "with_deadlines"]

_current = threading.local()


class Deadline:
    """Cuts the connection when the time is up; `expired` tells that it was."""

    def __init__(self) -> None:
        self.expired = False
        self._socket: socket.socket | None = None
        self._copy: socket.socket | None = None

    @contextmanager
    def running(self, seconds: float) -> Iterator["Deadline"]:
        """While requests are made by this thread, over a manager `with_deadlines`."""
        _current.deadline = self
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield self
        finally:
            timer.cancel()
            _current.deadline = None
            if self._copy is not None:
                self._copy.close()

    def begin(self, connection: socket.socket) -> None:
        """A new connection, which TLS will take over: another name for it is kept."""
        if self._copy is not None:
            self._copy.close()
        self._copy = socket.socket(fileno=os.dup(connection.fileno()))
        self.watch(self._copy)

    def watch(self, connection: socket.socket | None) -> None:
        """The connection over which an answer is awaited."""
        self._socket = connection
        if self.expired:
            self._cut()

    def _cut(self) -> None:
        self.expired = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def with_deadlines(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """The manager, whose connections show themselves to the deadline that runs in their thread."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager


def _running() -> Deadline | None:
    return getattr(_current, "deadline", None)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        if deadline := _running():
            deadline.begin(made)
        return made

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3 itself
        if deadline := _running():
            deadline.watch(self.sock)
        return super().getresponse()


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
