"""Real CDNs for the tests, with the configurations that docs/cdn shows: nginx before a bucket, Varnish or nginx as cache before that."""

import contextlib
import getpass
import http.client
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.programs import require
from tests.storage import BUCKET, answers, free_ports, running

__all__ = ["HOST", "PURGE_KEY", "Answer", "Cdn", "nginx_cache", "nginx_origin", "varnish"]

SHIPPED = Path(__file__).parents[1] / "docs/cdn"
HOST = "hasil.example.id"
PURGE_KEY = "a-secret-of-the-test"
PURGE_MODULE = Path("/usr/lib/nginx/modules/ngx_http_cache_purge_module.so")
NGINX = """daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
{first}
events {{ worker_connections 256; }}
http {{
  access_log off; default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {servers}
}}
"""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]  # names in lower case

    @property
    def hit(self) -> bool:
        """True if it came from the cache."""
        return self.headers.get("x-cache") == "HIT"


@dataclass(frozen=True)
class Cdn:
    """A running cache or origin. The public knows it as `HOST`."""

    url: str

    def ask(self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        try:
            connection.request(method, f"/{path}", headers={"Host": HOST, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()})
        finally:
            connection.close()


@contextlib.contextmanager
def nginx_origin(folder: Path, storage: str, prefix: str = "") -> Iterator[Cdn]:
    """docs/cdn/nginx-origin.conf before the bucket at `storage`, of which it shows `prefix`."""
    (port,) = free_ports(1)
    text = (SHIPPED / "nginx-origin.conf").read_text()
    own = {"127.0.0.1:8081": f"127.0.0.1:{port}", "http://127.0.0.1:8333/hasil/": f"{storage}/{BUCKET}/{prefix}"}
    with _nginx(folder, port, _adjusted(text, own)) as cdn:
        yield cdn


@contextlib.contextmanager
def nginx_cache(folder: Path, origin: Cdn) -> Iterator[Cdn]:
    """docs/cdn/nginx-cache.conf before an origin."""
    require("nginx")
    if not PURGE_MODULE.exists():
        require("nginx with the module cache-purge")
    (port,) = free_ports(1)
    text = (SHIPPED / "nginx-cache.conf").read_text()
    own = {
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "127.0.0.1:8081": urlsplit(origin.url).netloc,
        "/var/cache/nginx/terbit": f"{folder}/cache",
    }
    with _nginx(folder, port, _adjusted(text, own), f"load_module {PURGE_MODULE};") as cdn:
        yield cdn


@contextlib.contextmanager
def varnish(folder: Path, origin: Cdn, alive: str = "/") -> Iterator[Cdn]:
    """docs/cdn/varnish.vcl before an origin that shows a page at `alive`; its secret is PURGE_KEY."""
    folder.mkdir(parents=True)
    (port,) = free_ports(1)
    (folder / "purge.key").write_text(f"{PURGE_KEY}\n")
    own = {
        '.port = "8081"': f'.port = "{urlsplit(origin.url).port}"',
        '.url = "/"': f'.url = "{alive}"',
        "/etc/varnish/purge.key": f"{folder}/purge.key",
        ".interval = 5s": ".interval = 0.2s",
    }
    (folder / "varnish.vcl").write_text(_adjusted((SHIPPED / "varnish.vcl").read_text(), own))
    cdn = Cdn(f"http://127.0.0.1:{port}")
    words = [
        require("varnishd"), "-F", "-j", "none", "-n", f"{folder}/work", "-a", f"127.0.0.1:{port}", "-T", "none",
        "-f", f"{folder}/varnish.vcl", "-s", "malloc,32m",
    ]  # fmt: skip
    with running(words, folder, lambda: answers(cdn.url, range(600))):
        yield cdn


@contextlib.contextmanager
def _nginx(folder: Path, port: int, servers: str, first: str = "") -> Iterator[Cdn]:
    program = require("nginx")
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        first = f"user {getpass.getuser()};\n{first}"
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, first=first, servers=servers))
    cdn = Cdn(f"http://127.0.0.1:{port}")
    words = [program, "-p", f"{folder}", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    with running(words, folder, lambda: answers(cdn.url, range(600))):
        yield cdn


def _adjusted(text: str, own: Mapping[str, str]) -> str:
    """A shipped configuration with what its reader has to adjust."""
    for theirs, ours in own.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    return text
