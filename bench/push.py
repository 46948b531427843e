"""The figures of bench/README.md about object storage: 20,000 files of 2 KB to SeaweedFS, beside rclone and the server's own ceiling, which is
measured twice: with bare PUTs (no signature, condition or checksum), and with the very requests that we send, signed beforehand.

    python bench/push.py [--files 20000] [--runs 3] [--apart]

Needs the development dependencies (SeaweedFS, rclone) and, for the ceiling, `wrk`. Server and clients share the same processors; with `--apart` the server has
the first one and they the others, as if it were another machine.
"""

import argparse
import base64
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

sys.path.insert(0, str(Path(__file__).parent.parent))

from publish.config import TargetConfig
from publish.targets import TIMESTAMP, Alias
from publish.targets.bucket import open_bucket
from publish.targets.s3 import S3Target
from tests.storage import BUCKET, Server, seaweedfs
from verifier.headers import cache_control, content_type

SIZE, CHANGED, WARMING_FILES = 2_000, 200, 8_000
CEILING_SECONDS, CEILING_FILES = 3, 36_000  # more than any server takes in that time on one machine
BODY = b"x" * SIZE
# Each of wrk's threads sends every second line of a file: path, and headers as name, value, name, value …
CEILING = """
local count = 0
function setup(thread) thread:set("own", count); count = count + 1 end
local requests, n, body = {}, 0, string.rep("x", %d)
function init()
  local number = 0
  for line in io.lines("%s") do
    number = number + 1
    if number %% 2 == own then
      local parts, headers = {}, {}
      for part in line:gmatch("[^\\t]+") do parts[#parts + 1] = part end
      for at = 2, #parts, 2 do headers[parts[at]] = parts[at + 1] end
      requests[#requests + 1] = wrk.format("PUT", parts[1], headers, body)
    end
  end
end
function request() n = n + 1; return requests[n] end
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--apart", action="store_true")
    options = parser.parse_args()
    os.environ.update(Server("").environment())
    seconds: dict[str, list[float]] = {}
    for run in range(options.runs):
        files = list(make_files(options.files, run))
        with tempfile.TemporaryDirectory() as folder, server_on(Path(folder), apart=options.apart) as server:
            one_run(files, server, Path(folder), seconds)
    for name, found in seconds.items():
        median = statistics.median(found)
        rate = f"{options.files / median:8.0f}/s" if "files" in name else ""
        print(f"{name:<44}{median:8.2f} s  ({min(found):.2f}–{max(found):.2f}){rate}")


@contextmanager
def server_on(folder: Path, *, apart: bool) -> Iterator[Server]:
    """SeaweedFS, which keeps the processors that were ours when it was started."""
    every = os.sched_getaffinity(0)
    first, *others = sorted(every)
    os.sched_setaffinity(0, {first} if apart else every)
    with seaweedfs(folder / "weed") as server:
        os.sched_setaffinity(0, others if apart else every)
        try:
            yield server
        finally:
            os.sched_setaffinity(0, every)


def one_run(files: list[tuple[str, bytes]], server: Server, folder: Path, seconds: dict[str, list[float]]) -> None:
    def timed(name: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        seconds.setdefault(name, []).append(time.perf_counter() - start)

    def target_at(prefix: str) -> S3Target:
        bucket = open_bucket(TargetConfig(bucket=BUCKET, endpoint=server.url, prefix=prefix), "e")
        return S3Target("bench", bucket, known=folder / "known", clock=lambda: datetime.now(UTC), owner="bench")

    # A server that has just started first makes its volumes: whoever came first would be measured with that.
    target_at("warm/").put_objects(make_files(WARMING_FILES, -1), ignore)
    target = target_at("ours/")
    with target.exclusive():
        timed("terbit, files written once", lambda: target.put_objects(files, ignore))
        target.commit(b"1", None)
        timed("terbit, nothing changed (3 requests)", lambda: nothing_new(target))
        timed(f"terbit, {CHANGED} changed, with aliases", lambda: changed(target, files[:CHANGED]))
    timed("rclone copy --transfers 32, files", lambda: rclone(files, server, folder))
    server.client().create_bucket(Bucket="ceiling")
    paths = [path for path, _ in make_files(CEILING_FILES, 0)]
    kinds = {"bare": [[f"/ceiling/{path}"] for path in paths], "our requests": list(signed(server, paths))}
    for name, lines in kinds.items():
        if rate := ceiling(server, folder, lines):
            seconds.setdefault(f"the server's ceiling (wrk, {name}), files", []).append(len(files) / rate)


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


def signed(server: Server, paths: list[str]) -> Iterator[list[str]]:
    """Lines for wrk with the headers that our own PUTs have: condition, checksum, types, signature."""
    digest = hashlib.sha256(BODY)
    auth = S3SigV4Auth(Credentials(server.access_key, server.secret_key), "s3", "us-east-1")
    for path in paths:
        headers = {
            "If-None-Match": "*",
            "x-amz-checksum-sha256": base64.b64encode(digest.digest()).decode(),
            "x-amz-content-sha256": digest.hexdigest(),
            "Content-Type": content_type(path),
            "Cache-Control": cache_control(path),
        }
        request = AWSRequest("PUT", f"{server.url}/{BUCKET}/wrk/{path}", headers=headers, data=BODY)
        auth.add_auth(request)
        names = (*headers, "X-Amz-Date", "Authorization")
        yield [f"/{BUCKET}/wrk/{path}", *(part for name in names for part in (name, request.headers[name]))]


def ceiling(server: Server, folder: Path, lines: list[list[str]]) -> float | None:
    """PUTs a second of files of the same size, each written once; None without wrk."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return None
    script, requests = folder / "put.lua", folder / "requests"
    requests.write_text("".join("\t".join(line) + "\n" for line in lines))
    script.write_text(CEILING % (SIZE, requests))
    words = [wrk, "-t2", "-c64", f"-d{CEILING_SECONDS}s", "-s", str(script), server.url]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in told:
        raise RuntimeError(f"the server refused wrk's requests:\n{told}")
    return float(told.split("Requests/sec:")[1].split()[0])


def ignore(steps: int) -> None:
    pass


if __name__ == "__main__":
    main()
