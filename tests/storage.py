"""Real S3 servers for the tests, as pip installs them: SeaweedFS, rclone's `serve s3`, moto's server."""

import contextlib
import ctypes
import glob
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import obstore
from botocore.config import Config
from obstore.store import S3Store

from tests.programs import require

__all__ = [
    "BUCKET",
    "GUARD",
    "LOCKED",
    "PUBLISHER",
    "Server",
    "answers",
    "free_ports",
    "moto",
    "rclone",
    "running",
    "seaweedfs",
]

BUCKET = "site"
ADMIN = ("adminkey", "adminsecret123")
PUBLISHER = ("publisherkey", "publishersecret1")
GUARD = ("guardkey", "guardsecret12345")
LOCKED = "hasil"  # the bucket that docs/storage/apply.py makes
IDENTITIES = {
    "identities": [
        {
            "name": "admin",
            "credentials": [{"accessKey": ADMIN[0], "secretKey": ADMIN[1]}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {
            "name": "publisher",
            "credentials": [{"accessKey": PUBLISHER[0], "secretKey": PUBLISHER[1]}],
            "actions": [f"{action}:{bucket}" for action in ("Read", "List", "Write") for bucket in (BUCKET, LOCKED)],
        },
        {
            "name": "guard",
            "credentials": [{"accessKey": GUARD[0], "secretKey": GUARD[1]}],
            "actions": [f"{action}:{bucket}" for action in ("Read", "List", "Write") for bucket in (BUCKET, LOCKED)],
        },
        {"name": "anonymous", "actions": [f"Read:{BUCKET}", "Write:ceiling"]},  # the second one is for bench/push.py
    ]
}
PR_SET_PDEATHSIG = 1
PORT_ATTEMPTS = 4


@dataclass(frozen=True)
class Server:
    """A running server: its URL, and the keys of its administrator."""

    url: str
    access_key: str = ADMIN[0]
    secret_key: str = ADMIN[1]

    def client(self, service: str = "s3") -> Any:
        """boto3's client, as the administrator."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def target(self, prefix: str, more: str = "", bucket: str = BUCKET) -> str:
        """The lines of terbit.toml for a target `bucket` beneath `prefix`."""
        place = f'bucket = "{bucket}"\nendpoint = "{self.url}"\nprefix = "{prefix}"'
        return f"[targets.bucket]\n{place}\n{more}\n"

    def store(self, bucket: str = BUCKET) -> S3Store:
        return S3Store(
            bucket,
            endpoint=self.url,
            region="us-east-1",
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )

    def keys(self, bucket: str = BUCKET, prefix: str = "") -> dict[str, bytes]:
        """Every object in a bucket with its bytes."""
        store = self.store(bucket)
        names = [entry["path"] for page in obstore.list(store, prefix or None) for entry in page]
        with ThreadPoolExecutor(16) as threads:
            return dict(
                zip(names, threads.map(lambda name: bytes(obstore.get(store, name).bytes()), names), strict=True)
            )


@contextlib.contextmanager
def seaweedfs(folder: Path) -> Iterator[Server]:
    """SeaweedFS: conditional writes, checksums, versions, Object Lock, bucket policies."""
    with contextlib.ExitStack() as stack:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                server = stack.enter_context(_seaweedfs(folder / str(attempt)))
                break
            except RuntimeError:
                # Between looking for free ports and taking them, somebody else took one.
                if attempt == PORT_ATTEMPTS:
                    raise
        yield server


@contextlib.contextmanager
def _seaweedfs(folder: Path) -> Iterator[Server]:
    (folder / "data").mkdir(parents=True)
    (folder / "s3.json").write_text(json.dumps(IDENTITIES))
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc, admin, admin_grpc = free_ports(10)
    words = [
        require("weed"), "-logtostderr=true", "mini", "-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false",
        f"-master.port={master}", f"-master.port.grpc={master_grpc}", f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}",
        f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}", f"-filer.localSocket={folder}/f.sock",
        f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.localSocket={folder}/s.sock", "-s3.config=s3.json",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
        "-webdav=false", "-admin.ui=false", f"-admin.port={admin}", f"-admin.port.grpc={admin_grpc}",
    ]  # fmt: skip
    server = Server(f"http://127.0.0.1:{s3}")
    try:
        with running(words, folder, lambda: answers(f"{server.url}/healthz", (200,))):
            _make_bucket(server)
            yield server
    finally:
        for port in (master_grpc, volume_grpc, filer_grpc, s3_grpc, admin_grpc):
            for left in glob.glob(f"/tmp/seaweedfs-*-grpc-{port}.sock"):
                os.unlink(left)


@contextlib.contextmanager
def rclone(folder: Path) -> Iterator[Server]:
    """rclone's server: no conditional writes, and it does not say so."""
    (folder / "data").mkdir(parents=True)
    (port,) = free_ports(1)
    server = Server(f"http://127.0.0.1:{port}")
    words = [
        require("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--config", "", "--auth-key", ",".join(ADMIN),
        "--vfs-cache-mode", "off", "data",
    ]  # fmt: skip
    with running(words, folder, lambda: answers(server.url, range(600))):
        _make_bucket(server)
        yield server


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[Server]:
    """moto's server, for what the others have not: CloudFront."""
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    server = Server(f"http://127.0.0.1:{port}")
    with running(
        [require("moto_server"), "-H", "127.0.0.1", "-p", str(port)], folder, lambda: answers(server.url, range(600))
    ):
        yield server


def _make_bucket(server: Server) -> None:
    """A server may answer before its first write can go through."""
    client, end = server.client(), time.monotonic() + 30
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="probe", Body=b"x")
            client.delete_object(Bucket=BUCKET, Key="probe")
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


@contextlib.contextmanager
def running(words: Sequence[str], folder: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """A server's process in `folder`, from when it is ready until the end of the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            words,
            cwd=folder,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
            # A server must not outlive a test run that was killed.
            preexec_fn=lambda: ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509
        )
        try:
            end = time.monotonic() + 60
            while not ready():
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{words[0]} did not start: {(folder / 'server.log').read_text()[-2000:]}")
                time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.wait()


def answers(url: str, statuses: Sequence[int]) -> bool:
    """True if a server answers with one of these."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status in statuses
    except urllib.error.HTTPError as error:
        return error.code in statuses
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Different free ports: all are held open until the last is found."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
