"""A proxy before a real server that loses, delays, garbles or refuses chosen requests, as networks and servers do.

The Host header is passed on unchanged, so that signatures over it still hold at the server.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

__all__ = [
    "Delay",
    "Drip",
    "Fault",
    "FaultProxy",
    "LostAnswer",
    "LostRequest",
    "Status",
    "TruncatedAnswer",
    "TruncatedRequest",
]


class Fault:
    """What happens to one request."""


class LostRequest(Fault):
    """The connection breaks before the server has the request."""


class TruncatedRequest(Fault):
    """The connection breaks midway through the request's body."""


class LostAnswer(Fault):
    """The server does what it was asked to, and its answer is lost."""


class TruncatedAnswer(Fault):
    """The connection breaks midway through the answer's body, or through its head where there is no body.

    A whole answer before a broken connection would hit whichever request uses the connection next, and not its own.
    """


@dataclass(frozen=True)
class Status(Fault):
    """The server refuses without doing anything."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delay(Fault):
    """The request takes its time."""

    seconds: float


class Drip(Fault):
    """The answer's head comes a byte at a time, and never ends."""


Choose = Callable[[str, str, int], Fault | None]


class FaultProxy:
    """Stands before the server at `url`; `choose` takes method, path and number (from 1) of a request and gives its fate."""

    def __init__(self, url: str, choose: Choose = lambda method, path, number: None) -> None:
        self._port, self.choose = urlsplit(url).port, choose
        self.requests: list[tuple[str, str]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._server = server
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        async def stop() -> None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio holds a task that waits for the server only as long as the client is there.
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream: list[asyncio.StreamWriter] = []
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
            upstream.append(server_writer)
            while await self._pass_on(reader, writer, server_reader, server_writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            for one in (writer, *upstream):
                one.transport.abort()
            self._tasks.discard(task)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> bool:
        """One request and its answer; False when the connection has to end."""
        head, body = await _message(reader, writer)
        method, path = head.decode("latin-1").split(" ", 2)[:2]
        self.requests.append((method, path))
        fault = self.choose(method, path, len(self.requests))
        match fault:
            case LostRequest():
                return False
            case Delay(seconds):
                await asyncio.sleep(seconds)
            case Drip():
                writer.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)
            case Status(code, headers):
                lines = [f"HTTP/1.1 {code} Fault", "Content-Length: 0", *(f"{k}: {v}" for k, v in headers.items())]
                writer.write("\r\n".join([*lines, "", ""]).encode())
                await writer.drain()
                return True
        if isinstance(fault, TruncatedRequest):
            server_writer.write(head + body[: len(body) // 2])
            await server_writer.drain()
            return False
        server_writer.write(head + body)
        await server_writer.drain()
        answer, content = await _message(server_reader, without_body=method == "HEAD")
        if isinstance(fault, LostAnswer):
            return False
        if isinstance(fault, TruncatedAnswer):
            writer.write(answer + content[: len(content) // 2] if content else answer[: len(answer) // 2])
            await writer.drain()
            return False
        writer.write(answer + content)
        await writer.drain()
        return True


async def _message(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None = None, *, without_body: bool = False
) -> tuple[bytes, bytes]:
    """Head and body of an HTTP/1.1 message as they were sent. `writer` is told to go on where the sender asks first."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
    if without_body or lines[0].split(b" ")[1] in {b"204", b"304"}:
        return head, b""
    if headers.get(b"expect", b"").lower() == b"100-continue" and writer is not None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = b"\r\n".join(line for line in lines if not line.lower().startswith(b"expect:"))
    if b"chunked" not in headers.get(b"transfer-encoding", b""):
        return head, await reader.readexactly(int(headers.get(b"content-length", 0)))
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        body += line + await reader.readexactly(size + 2)
        if size == 0:
            return head, body
