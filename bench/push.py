"""The figures of bench/README.md about object storage: 20,000 files of 2 KB to SeaweedFS, beside rclone and the server's own ceiling.

    python bench/push.py [--files 20000] [--runs 3]

Needs the development dependencies (SeaweedFS, rclone) and, for the ceiling, `wrk`. Server and client share the same processors.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from publish.targets import TIMESTAMP, Alias
from publish.targets.bucket import Bucket, open_store
from publish.targets.s3 import S3Target
from tests.storage import BUCKET, Server, seaweedfs

SIZE, CHANGED = 2_000, 200
CEILING = f"""
local n, id = 0, 0
local body = string.rep("x", {SIZE})
function setup(thread) thread:set("id", id); id = id + 1 end
function request() n = n + 1; return wrk.format("PUT", "/ceiling/" .. id .. "/" .. n, nil, body) end
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    os.environ.update(Server("").environment())
    seconds: dict[str, list[float]] = {}
    for run in range(options.runs):
        files = list(make_files(options.files, run))
        with tempfile.TemporaryDirectory() as folder, seaweedfs(Path(folder) / "weed") as server:
            one_run(files, server, Path(folder), seconds)
    for name, found in seconds.items():
        median = statistics.median(found)
        rate = f"{options.files / median:8.0f}/s" if "files" in name else ""
        print(f"{name:<44}{median:8.2f} s  ({min(found):.2f}–{max(found):.2f}){rate}")


def one_run(files: list[tuple[str, bytes]], server: Server, folder: Path, seconds: dict[str, list[float]]) -> None:
    def timed(name: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        seconds.setdefault(name, []).append(time.perf_counter() - start)

    store = open_store(BUCKET, endpoint=server.url, region="us-east-1", path_style=True, profile=None)
    target = S3Target(
        "bench",
        Bucket(lambda: store, "ours/", "e"),
        known=folder / "known",
        clock=lambda: datetime.now(UTC),
        owner="bench",
    )
    with target.exclusive():
        timed("terbit, files written once", lambda: target.put_objects(files, ignore))
        target.commit(b"1", None)
        timed("terbit, nothing changed (3 requests)", lambda: nothing_new(target))
        timed(f"terbit, {CHANGED} changed, with aliases", lambda: changed(target, files[:CHANGED]))
    timed("rclone copy --transfers 32, files", lambda: rclone(files, server, folder))
    if rate := ceiling(server, folder):
        seconds.setdefault("the server's ceiling (wrk), files", []).append(len(files) / rate)


def nothing_new(target: S3Target) -> None:
    seen = target.read(TIMESTAMP)
    target.commit(b"2", seen)
    target.put_hint("latest.json", b"{}")


def changed(target: S3Target, files: list[tuple[str, bytes]]) -> None:
    again = [(f"{path}.2", data[::-1]) for path, data in files]
    target.put_objects(again, ignore)
    seen = target.read(TIMESTAMP)
    target.commit(b"3", seen)
    target.put_aliases([[Alias(path.rpartition("/")[2], path, data)] for path, data in again], ignore)


def make_files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    source = random.Random(seed)
    for number in range(count):
        yield f"targets/{number % 500}/{number}.json", source.randbytes(SIZE)


def rclone(files: list[tuple[str, bytes]], server: Server, folder: Path) -> None:
    source = folder / "files"
    if not source.exists():
        for path, data in files:
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes(data)
    remote = f":s3,provider=Other,endpoint='{server.url}',access_key_id={server.access_key},secret_access_key={server.secret_key}:{BUCKET}/rclone"
    program = shutil.which("rclone", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    words = [
        program,
        "copy",
        "--config",
        "",
        "--transfers",
        "32",
        "--no-traverse",
        "--s3-no-check-bucket",
        source,
        remote,
    ]
    subprocess.run([str(word) for word in words], check=True)


def ceiling(server: Server, folder: Path) -> float | None:
    """Anonymous PUTs a second of the same size, without checksum or condition; None without wrk."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return None
    server.client().create_bucket(Bucket="ceiling")
    script = folder / "put.lua"
    script.write_text(CEILING)
    words = [wrk, "-t2", "-c64", "-d6s", "-s", str(script), server.url]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in told:
        raise RuntimeError(f"the server refused wrk's requests:\n{told}")
    return float(told.split("Requests/sec:")[1].split()[0])


def ignore(steps: int) -> None:
    pass


if __name__ == "__main__":
    main()
