"""The figures of bench/README.md: whole nation, one station corrected, 1 % corrected in two ways, nothing new, verification.

    python bench/run.py [--data ../shared/data] [--runs 3]

Medians of several runs; ratios come from one run, since machines drift.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import polars as pl

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(sys.executable).parent
# As a regency hands in anew what it corrected, and as the worst day would have it.
CORRECTIONS = (
    ("publish, 1 station corrected", 1, True),
    ("publish, 1 % corrected, neighbours", 8169, False),
    ("publish, 1 % corrected, everywhere", 8169, True),
)


def main() -> None:
    options = arguments()
    work = options.out / str(time.time_ns())
    results: dict[str, list[float]] = {}

    def timed(name: str, *words: object) -> None:
        start = time.perf_counter()
        subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        results.setdefault(name, []).append(time.perf_counter() - start)

    for run in range(options.runs):
        nation = work / f"nation{run}"
        print(f"run {run + 1} of {options.runs}", file=sys.stderr)
        command = [sys.executable, ROOT / "bench" / "national.py", "--data", options.data, "--out", nation, "--json"]
        told = json.loads(
            subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
        )
        for name, seconds in told.items():
            results.setdefault(name, []).append(seconds)
        terbit, verify = PROGRAMS / "terbit", PROGRAMS / "terbit-verify"
        for name, count, spread in CORRECTIONS:
            correct(options.data, nation, count, spread=spread)
            timed(name, terbit, "publish", "--yes", "-C", nation)
        timed("publish, nothing new", terbit, "publish", "-C", nation)
        root = nation / "keys" / "metadata" / "1.root.json"
        timed(
            "verify site, first time",
            verify,
            "site",
            nation / "public",
            "--root",
            root,
            "--state",
            work / f"state{run}",
        )
        timed("verify site, again", verify, "site", nation / "public", "--state", work / f"state{run}")
        sums = work / "SHA256SUMS"
        election = nation / "public" / "pemilu-2019"
        listed = (
            path for path in election.rglob("*") if path.suffix in {".html", ".json"} and "targets" not in path.parts
        )
        with sums.open("w") as file:
            names = "\0".join(map(str, listed))
            subprocess.run(["xargs", "-0", "sha256sum"], check=True, text=True, input=names, stdout=file)
        timed("sha256sum -c of the same files", "sha256sum", "-c", "--quiet", sums)
        timed("terbit --help", terbit, "--help")
    for name, seconds in results.items():
        print(f"{name:<34}{statistics.median(seconds):8.2f} s  ({min(seconds):.2f}–{max(seconds):.2f})")
    print(f"largest process {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")


def correct(data: Path, nation: Path, count: int, *, spread: bool) -> None:
    """Hand in the same file with one vote moved in `count` stations: of the whole nation, or one beside the other."""
    source = nation / "corrected.csv"
    table = pl.read_csv(source if source.exists() else data / "pemilu2019" / "tps_2019_ppwp.csv.gz", infer_schema=False)
    rows = table.with_row_index().filter(pl.col("kpu_pas1").cast(pl.Int64, strict=False) > 0)["index"].to_list()
    start = random.Random(count).randrange(len(rows) - count)
    chosen = pl.Series(random.Random(count).sample(rows, count) if spread else rows[start : start + count])
    moved = pl.int_range(pl.len()).is_in(chosen.implode())
    table.with_columns(
        pl.when(moved)
        .then((pl.col("kpu_pas1").cast(pl.Int64) - 1).cast(pl.String))
        .otherwise("kpu_pas1")
        .alias("kpu_pas1"),
        pl.when(moved)
        .then((pl.col("kpu_pas2").cast(pl.Int64) + 1).cast(pl.String))
        .otherwise("kpu_pas2")
        .alias("kpu_pas2"),
    ).write_csv(source)
    command = [
        PROGRAMS / "terbit",
        "import",
        "csv",
        source,
        "--map",
        "kpu-2019-ppwp",
        "--reason",
        "transcription",
        "-C",
        nation,
    ]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
