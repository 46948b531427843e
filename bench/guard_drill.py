"""The guard's drill: a stranger with the bucket's keys changes, deletes and adds files once a second; how soon is each found and put right?

    python bench/guard_drill.py [--files 20000] [--seconds 60] [--interval 1]

SeaweedFS holds the site (about so many objects and aliases together); a client that trusts our root keeps checking it meanwhile.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from publish.guard.judge import Finding
from publish.guard.patrol import Patrol
from publish.progress import Stages
from publish.workspace import Workspace
from tests.election import ELECTION, package, row, write_definition, write_package
from tests.storage import BUCKET, Server, seaweedfs

FILES_AN_AREA = 6  # page, results, signature: each as object and as alias
CONFIG = """workers = 2
[targets.bucket]
bucket = "{bucket}"
endpoint = "{url}"
[guard]
interval = {interval}
"""


class Attacker(threading.Thread):
    """Once a second changes one file, deletes one and adds one; `done` has each path with the time at which it was done."""

    def __init__(self, server: Server, paths: Sequence[str], seconds: float, pause: float = 1.0) -> None:
        super().__init__(daemon=True)
        self._client, self._seconds, self._pause = server.client(), seconds, pause
        self._paths = random.Random(1).sample(list(paths), len(paths))
        self.done: dict[str, float] = {}

    def run(self) -> None:
        end, number = time.time() + self._seconds, 0
        while time.time() < end:
            start = time.time()
            changed, deleted = self._paths.pop(), self._paths.pop()
            added = f"{changed.rpartition('/')[0]}/tambahan-{number}.html"
            self._client.put_object(Bucket=BUCKET, Key=changed, Body=b"<h1>palsu</h1>")
            self.done[changed] = time.time()
            self._client.delete_object(Bucket=BUCKET, Key=deleted)
            self.done[deleted] = time.time()
            self._client.put_object(Bucket=BUCKET, Key=added, Body=b"<h1>palsu</h1>")
            self.done[added] = time.time()
            number += 1
            time.sleep(max(0, self._pause - (time.time() - start)))


class Reader(threading.Thread):
    """Checks one signed file after another as any client would; `accepted` wrong bytes must stay 0."""

    def __init__(self, server: Server, root: bytes, paths: Sequence[str], right: dict[str, bytes]) -> None:
        super().__init__(daemon=True)
        self._url, self._root, self._paths, self._right = f"{server.url}/{BUCKET}/uji", root, paths, right
        self.checked = self.refused = self.accepted = 0
        self.stop = threading.Event()

    def run(self) -> None:
        from verifier.client import Client
        from verifier.errors import VerifierError
        from verifier.http_fetcher import HttpFetcher

        chosen = random.Random(2)
        while not self.stop.is_set():
            with tempfile.TemporaryDirectory() as state:
                try:
                    client = Client(HttpFetcher(self._url), Path(state), datetime.now(UTC), root=self._root)
                    client.refresh()
                    for path in chosen.sample(self._paths, min(20, len(self._paths))):
                        data = client.target(path)
                        self.checked += 1
                        self.accepted += data != self._right[path]
                except VerifierError:
                    self.refused += 1


def make_site(directory: Path, server: Server, areas: int, interval: float) -> None:
    """An election with so many villages, handed in and published to the bucket."""
    from publish.cli.keys import create_keys
    from publish.release.flow import Flow
    from publish.release.intake import take_in_packages

    regencies = max(1, areas // 250)
    lines = ["code,parent,level,name,kind,stations", "0,,negara,Contoh,domestic,", "11,0,provinsi,Utara,domestic,"]
    for regency in range(regencies):
        code = f"11{regency:02}"
        lines.append(f"{code},11,kabupaten,Kabupaten {regency},domestic,")
        villages = [f"{code}{number:04}" for number in range(areas // regencies)]
        lines += [f"{village},{code},desa,Desa {village},domestic,1" for village in villages]
        files = package(code, [row(village, 1, 100, 90) for village in villages])
        write_package(directory / "inbox" / code, files)
    write_definition(directory / "content", ELECTION, "\n".join([*lines, ""]))
    (directory / "terbit.toml").write_text(CONFIG.format(bucket=BUCKET, url=server.url, interval=interval))
    now = datetime.now(UTC).replace(microsecond=0)
    create_keys(Workspace(directory), now)
    workspace, stages = Workspace(directory), Stages(quiet=True)
    with workspace.lock(), Flow(workspace, stages, now + timedelta(seconds=1)) as flow:
        take_in_packages(workspace, (), stages, now)
        flow.publish()


def drill(
    directory: Path, server: Server, areas: int, seconds: float, interval: float, pause: float = 1.0
) -> dict[str, float]:
    """One drill; returns its figures."""
    make_site(directory, server, areas, interval)
    before = server.keys()
    found: dict[str, float] = {}
    healed: dict[str, float] = {}

    def tell(finding: Finding) -> None:
        key = f"uji/{finding.path}"
        # The finding's own time is when it was seen; it is told once the right bytes stand there.
        found.setdefault(key, datetime.fromisoformat(finding.seen).timestamp())
        if finding.done.startswith(("put back", "removed")):
            healed.setdefault(key, time.time())

    patrol = Patrol(directory, True, lambda: datetime.now(UTC), tell, lambda text: print(text, file=sys.stderr))
    start = time.time()
    patrol.once()
    first_look = time.time() - start
    start = time.time()
    patrol.once()
    look = time.time() - start
    thread = threading.Thread(target=patrol.run)
    thread.start()
    objects = {f"{path.rpartition('/')[0]}/{path.rpartition('/')[2].partition('.')[2]}".removeprefix("uji/targets/"): data
               for path, data in before.items() if path.startswith("uji/targets/") and not path.endswith(".minisig")}  # fmt: skip
    root = (directory / "keys/metadata/1.root.json").read_bytes()
    reader = Reader(server, root, sorted(objects), objects)
    attacker = Attacker(
        server, [key for key in before if key.startswith("uji/") and "/.terbit" not in key], seconds, pause
    )
    reader.start()
    attacker.start()
    attacker.join()
    end = time.time() + 60
    while time.time() < end and attacker.done.keys() - healed.keys():
        time.sleep(0.1)
    reader.stop.set()
    reader.join()
    patrol.stop()
    thread.join()
    after = {key: data for key, data in server.keys().items() if ".set-aside/" not in key}
    detect = sorted(found[key] - at for key, at in attacker.done.items() if key in found)
    heal = sorted(healed[key] - at for key, at in attacker.done.items() if key in healed)
    count = len(attacker.done)
    return {
        "files": len(before),
        "first look, s": first_look,
        "look, s": look,
        "attacks": count,
        "found, %": 100 * len(detect) / count,
        "healed, %": 100 * len(heal) / count,
        "detect, median s": statistics.median(detect),
        "detect, p95 s": detect[int(0.95 * (len(detect) - 1))],
        "heal, median s": statistics.median(heal),
        "heal, p95 s": heal[int(0.95 * (len(heal) - 1))],
        "files that differ afterwards": len({key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}),
        "files that a client checked": reader.checked,
        "checks that it refused": reader.refused,
        "wrong bytes that it accepted": reader.accepted,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interval", type=float, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.update(Server("").environment())
    with tempfile.TemporaryDirectory() as folder, seaweedfs(Path(folder) / "weed") as server:
        figures = drill(
            Path(folder) / "site", server, options.files // FILES_AN_AREA, options.seconds, options.interval
        )
        shutil.rmtree(Path(folder) / "site")
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<34}{value:10.2f}" if isinstance(value, float) else f"{name:<34}{value:10}")


if __name__ == "__main__":
    main()
