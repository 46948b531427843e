"""Copies of a published site, each served at a place of its own: an origin and a mirror."""

import shutil
import socket
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from publish.serve import Server
from tests.publish.workspace import deliver, make_workspace, publish
from tests.servers import serving

__all__ = ["NEIGHBOUR", "VILLAGE", "Place", "Published", "Site"]

VILLAGE, NEIGHBOUR = "uji/ppwp/1101/110101.html", "uji/ppwp/1102/1102.html"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class PlaceServer(Server):
    """A server whose end is the end of its connections, too: a browser goes on using those that stay open."""

    def __init__(self, public: Path, port: int) -> None:
        super().__init__(public, "127.0.0.1", port)
        self._connections: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.append(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Place:
    """One copy of the public tree, served until `stop`."""

    def __init__(self, public: Path, folder: Path, port: int = 0) -> None:
        self.public = Path(shutil.copytree(public, folder))
        self._running = ExitStack()
        self.url = self._running.enter_context(serving(PlaceServer(self.public, port))).url

    def stop(self) -> None:
        self._running.close()

    def alter(self, *patterns: str) -> None:
        """Other figures in every file that matches, as somebody who controls this place would put them there."""
        files = [file for pattern in patterns for file in self.public.glob(pattern) if file.is_file()]
        assert files
        for file in files:
            file.write_bytes(file.read_bytes().replace(b"1", b"7"))

    def alter_page(self, page: str) -> None:
        """A page, wherever it lies here."""
        folder, name = page.removeprefix("uji/").rsplit("/", 1)
        self.alter(page, f"uji/targets/{folder}/*.{name}")


class Published:
    """Two releases of a `workspace`: `public` is the tree of the second, `old` that of the first; `mirror_port` is that of the mirror in the signed list."""

    def __init__(self, directory: Path, now: datetime) -> None:
        self.mirror_port = free_port()
        self.workspace = workspace = make_workspace(directory / "workspace")
        (workspace / "content/pages/mirrors.toml").write_text(
            f'mirrors = ["http://127.0.0.1:{self.mirror_port}/uji/"]\n'
        )
        deliver(workspace)
        publish(workspace, now - timedelta(minutes=2))
        self.old = Path(shutil.copytree(workspace / "public", directory / "old"))
        with (workspace / "content/pages/id/tentang.md").open("a") as file:
            file.write("\nRilis kedua.\n")
        publish(workspace, now)
        self.public = workspace / "public"


class Site:
    """A published site with its `origin` and one `mirror`."""

    def __init__(self, directory: Path, published: Published) -> None:
        self.published = published
        self.origin = Place(published.public, directory / "origin")
        self.mirror = Place(published.public, directory / "mirror", published.mirror_port)

    def stop(self) -> None:
        self.origin.stop()
        self.mirror.stop()

    def page(self, name: str = VILLAGE) -> str:
        return self.origin.url + name
