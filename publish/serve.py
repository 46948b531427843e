"""A local server for a public tree: the real headers, and pages that reload when templates or content change.

It serves what lies in the tree and nothing else: GET and HEAD, no listing, no path that leaves the tree. It is for
looking and for tests; the public site is served by storage and a CDN.
"""

import html
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from builder.errors import BuilderError
from publish.errors import PublishError
from verifier.headers import headers_for
from verifier.http_answer import leave_body, reader_has, send_head

__all__ = ["Render", "Server", "serve"]

Render = Callable[[str], bytes | None]

RELOAD_SCRIPT = b'"use strict";\nnew EventSource("/_terbit/events").onmessage = () => location.reload();\n'
# A checker that an earlier, real preview installed would go on showing what was signed.
NO_CHECKER = b'"use strict";\naddEventListener("install", () => skipWaiting());\naddEventListener("activate", () => registration.unregister());\n'
RELOAD_TAG = b'<script src="/_terbit/reload.js" defer></script>\n'
_RENDERED = (".html", ".css", ".js")
_HEARTBEAT_SECONDS = 15.0
_SETTLE_SECONDS = 0.1
_IDLE_SECONDS = 60


def serve(public: Path, host: str, port: int, *, render: Render | None = None, watch_dirs: Iterable[Path] = ()) -> None:
    """Serve until interrupted; see `Server`."""
    with Server(public, host, port, render=render, watch_dirs=watch_dirs) as server:
        print(f"Serving {public} at {server.url} (stop with Ctrl-C)", file=sys.stderr)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


class Server(ThreadingHTTPServer):
    """Serves `public`.

    With `render` it is in watch mode: pages, styles and scripts are first asked of `render(path)`, with the path below
    `public` (None: take the file), a page reloads when a file in `watch_dirs` changes, and a `BuilderError` is shown in
    the page's place.

    Raises:
        PublishError: the folder is not there, or the address cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, public: Path, host: str, port: int, *, render: Render | None = None, watch_dirs: Iterable[Path] = ()
    ) -> None:
        if not public.is_dir():
            raise PublishError(f"{public} is not a folder; publish first, or name the public tree")
        self.root = public.resolve()
        self.render, self.render_lock = render, threading.Lock()
        self.changes = Changes(watch_dirs)
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise PublishError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another --port or --host"
            ) from error
        self.changes.start()

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"

    def server_close(self) -> None:
        self.changes.stop()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # the base class's types
        """A reader who went away is no error of ours."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Changes(FileSystemEventHandler):
    """Counts the changes beneath folders; readers wait for the next one."""

    def __init__(self, directories: Iterable[Path]) -> None:
        self._directories = tuple(directories)
        self._changed = threading.Condition()
        self._count = 0
        self._stopped = False
        self._observer: Any = None

    def start(self) -> None:
        if not self._directories:
            return
        self._observer = Observer()
        for directory in self._directories:
            self._observer.schedule(self, str(directory), recursive=True)
        self._observer.start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def wait(self, seen: int | None, seconds: float) -> int | None:
        """The count once it differs from `seen` (None: the count now), or None after `seconds` or when stopped."""
        with self._changed:
            if seen is None:
                return self._count
            self._changed.wait_for(lambda: self._count != seen or self._stopped, seconds)
            return self._count if self._count != seen else None

    @property
    def stopped(self) -> bool:
        return self._stopped

    def on_any_event(self, event: FileSystemEvent) -> None:
        # Rendering opens the very files that are watched: only writing counts.
        if event.event_type not in {"created", "modified", "moved", "deleted"}:
            return
        with self._changed:
            self._count += 1
            self._changed.notify_all()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        leave_body(self)
        if self.server.render is not None and self.path == "/_terbit/events":
            self._events()
        elif self.server.render is not None and self.path == "/_terbit/reload.js":
            self._reply(HTTPStatus.OK, "_terbit/reload.js", RELOAD_SCRIPT, fresh=True)
        else:
            self._file()

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A refusal as a short page with the site's headers; the connection ends, for the request may have a body."""
        status = HTTPStatus(HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else code)
        text = html.escape(message or status.description or status.phrase)
        self.close_connection = True
        self._reply(status, "error.html", _page(f"{status.value} {status.phrase}", text), fresh=True)

    def version_string(self) -> str:
        return "terbit"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who reads what is nobody's business."""

    def _file(self) -> None:
        segments = _segments(self.path)
        if segments is None:
            self._missing(segments)
            return
        as_folder = urlsplit(self.path).path.endswith("/")
        if os.path.isdir(self.server.root.joinpath(*segments)):
            if not as_folder:
                self._redirect("/" + "".join(f"{quote(segment)}/" for segment in segments))
                return
            segments.append("index.html")
        elif as_folder:
            self._missing(segments)
            return
        name = "/".join(segments)
        if self._rendered(name):
            return
        # The real path must lie in the tree: neither `..` nor a link leads out of it.
        file = Path(os.path.realpath(self.server.root.joinpath(*segments)))
        if not file.is_relative_to(self.server.root) or not os.path.isfile(file):
            self._missing(segments)
            return
        with file.open("rb") as stream:
            state = os.fstat(stream.fileno())
            etag = f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
            if reader_has(self, etag):
                send_head(self, HTTPStatus.NOT_MODIFIED, headers_for(name) | {"ETag": etag})
                return
            send_head(self, HTTPStatus.OK, headers_for(name) | {"ETag": etag, "Content-Length": str(state.st_size)})
            if self.command != "HEAD":
                shutil.copyfileobj(stream, self.wfile)

    def _missing(self, segments: list[str] | None) -> None:
        """Nothing is there: the election's own page says so (docs/formats.md, "For a domain's visitors"), where it has one."""
        page = Path(os.path.realpath(self.server.root.joinpath(*(segments or [])[:1], "404.html")))
        if page.is_relative_to(self.server.root) and os.path.isfile(page):
            self._reply(HTTPStatus.NOT_FOUND, "404.html", page.read_bytes(), fresh=True)
        else:
            self.send_error(HTTPStatus.NOT_FOUND, "Tidak ada halaman ini.")

    def _rendered(self, name: str) -> bool:
        """Answer with what `render` makes of `name`; False if that is not its business."""
        render = self.server.render
        if render is None or not name.endswith(_RENDERED):
            return False
        if name.endswith("/sw.js"):
            self._reply(HTTPStatus.OK, name, NO_CHECKER, fresh=True)
            return True
        try:
            with self.server.render_lock:
                data = render(name)
        except BuilderError as error:
            page = _page("Templat atau isi keliru", html.escape(str(error))) + RELOAD_TAG
            self._reply(HTTPStatus.INTERNAL_SERVER_ERROR, "error.html", page, fresh=True)
            return True
        if data is None:
            return False
        page = data + RELOAD_TAG if name.endswith(".html") else data
        self._reply(HTTPStatus.OK, name, page, fresh=True)
        return True

    def _events(self) -> None:
        """Server-sent events: one message for every change, a comment now and then to notice who left."""
        headers = headers_for("_terbit/events") | {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        self.close_connection = True
        send_head(self, HTTPStatus.OK, headers)
        if self.command == "HEAD":
            return
        changes = self.server.changes
        seen = changes.wait(None, 0)
        self.wfile.write(b"retry: 500\n\n")
        while not changes.stopped:
            count = changes.wait(seen, _HEARTBEAT_SECONDS)
            # An editor saves in several steps; one message for them all.
            while count is not None and (later := changes.wait(count, _SETTLE_SECONDS)) is not None:
                count = later
            self.wfile.write(b": \n\n" if count is None else b"data: changed\n\n")
            seen = seen if count is None else count

    def _redirect(self, location: str) -> None:
        send_head(
            self,
            HTTPStatus.MOVED_PERMANENTLY,
            headers_for("error.html") | {"Location": location, "Content-Length": "0"},
        )

    def _reply(self, status: HTTPStatus, name: str, data: bytes, *, fresh: bool) -> None:
        headers = headers_for(name) | {"Content-Length": str(len(data))}
        if fresh:
            headers["Cache-Control"] = "no-store"
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET, HEAD"
        send_head(self, status, headers)
        if self.command != "HEAD":
            self.wfile.write(data)


def _segments(target: str) -> list[str] | None:
    """The path's parts, or None for one that no public file has: hidden, empty or dotted parts, NUL, backslash."""
    try:
        path = unquote(urlsplit(target).path, errors="strict")
    except (ValueError, UnicodeDecodeError):
        return None
    if not path.startswith("/") or "\0" in path or "\\" in path:
        return None
    segments = path[1:].removesuffix("/").split("/") if path != "/" else []
    if any(not segment or (segment.startswith(".") and segment != ".well-known") for segment in segments):
        return None
    return segments


def _page(title: str, body: str) -> bytes:
    head = f'<!doctype html>\n<html lang="id">\n<head><meta charset="utf-8"><title>{title}</title></head>\n'
    return f"{head}<body>\n<h1>{title}</h1>\n<pre>{body}</pre>\n</body>\n</html>\n".encode()
