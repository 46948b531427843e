"""`terbit-verify compare` of a CSV of every polling station of the nation, one in a thousand altered.

    python bench/compare.py [--nation build/national] [--runs 3]

Needs what `make national` leaves. Times the whole command, start included.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
ONE_IN = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nation", type=Path, default=ROOT / "build" / "national")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench" / "compare")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    election = options.nation / "public" / "pemilu-2019"
    if not election.is_dir():
        sys.exit(f"{election} is not there: run make national")
    options.out.mkdir(parents=True, exist_ok=True)
    tallies = options.out / "tallies.csv"
    rows, altered = write_tallies(election, tallies)
    # The release may be older than its signatures last: it is looked at when it was new.
    now = json.loads((election / "latest.json").read_bytes())["released"]
    root = options.nation / "keys" / "metadata" / "1.root.json"
    program = Path(sys.executable).parent / "terbit-verify"
    command = [program, "compare", tallies, election, "--root", root, "--state", options.out / "state", "--now", now]
    command += ["--html", options.out / "report.html", "--csv", options.out / "differences.csv", "--json"]
    seconds = []
    for _ in range(options.runs):
        start = time.perf_counter()
        done = subprocess.run([str(word) for word in command], check=False, stdout=subprocess.PIPE, text=True)
        seconds.append(time.perf_counter() - start)
        told = json.loads(done.stdout)
        assert (told["compared"], len(told["differences"])) == (rows, altered), done.stderr
    print(
        f"compare, {rows} rows, {altered} altered {statistics.median(seconds):8.2f} s  ({min(seconds):.2f}–{max(seconds):.2f})"
    )


def write_tallies(election: Path, file: Path) -> tuple[int, int]:
    """Every station's published figures but for some; how many rows, and how many that are not as published."""
    chosen = random.Random(ONE_IN)
    rows = altered = 0
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        for path in sorted(election.glob("ppwp/*/*.json")):
            results = json.loads(path.read_bytes())
            table = results["polling_stations"]
            if rows == 0 and table["rows"]:
                writer.writerow(["area", *table["columns"][:1], *table["columns"][3:-1]])
            for station, _, _, *figures, _ in table["rows"]:
                if figures[0] is not None and chosen.randrange(ONE_IN) == 0:
                    figures[0] += 1
                    altered += 1
                writer.writerow([results["area"]["code"], station, *figures])
                rows += 1
    return rows, altered


if __name__ == "__main__":
    main()
