"""The log's speed: 10,000 entries appended to a log of a million, and the proof of any entry from tiles.

python bench/log.py [--size 1000000]
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from nacl.signing import SigningKey

from builder.ledger import Ledger, RefusedRecord
from publish.signing.repository import RoleFile
from publish.translog.log import Log
from verifier.formats import merkle
from verifier.formats.note import ED25519, VerifierKey
from verifier.formats.tiles import node_reader

BATCH = 10_000
PROOFS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000)
    size = parser.parse_args().size
    secret = SigningKey(bytes(32))
    key = VerifierKey("bench.example/x/log", ED25519, bytes(secret.verify_key))
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        ledger = Ledger(Path(folder) / "ledger")
        log = Log(Path(folder) / "log", key, lambda message: secret.sign(message).signature)
        seconds: list[float] = []
        release = 0
        while log.size < size + 3 * BATCH:
            first = len(ledger.records)
            ledger.add([RefusedRecord(f"{first + n:064x}", ("cover",)) for n in range(BATCH)])
            release += 1
            start = time.perf_counter()
            log = Log(Path(folder) / "log", key, lambda message: secret.sign(message).signature)
            log.append(ledger, RoleFile(release, 1, f"{release:064x}"))
            if log.size > size:
                seconds.append(time.perf_counter() - start)
            print(f"\r{log.size:,} entries", end="", file=sys.stderr)
        print(file=sys.stderr)
        times = []
        for index in random.Random(1).sample(range(log.size), PROOFS):
            start = time.perf_counter()
            merkle.inclusion_proof(index, log.size, node_reader(log.size, log._read_tile))
            times.append(time.perf_counter() - start)
    print(f"append {BATCH:,} entries to {size:,}   {statistics.median(seconds):.3f} s")
    print(f"a proof from tiles            {statistics.median(times) * 1000:.2f} ms (longest {max(times) * 1000:.1f})")


if __name__ == "__main__":
    main()
