"""Indonesia's presidential election of 2019, whole: from the raw files to a signed, verified public tree in build/national.

    python bench/national.py [--data ../shared/data] [--out build/national] [--workers 2]

Prints the time of each stage. The data are not part of this project: see bench/README.md.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

ELECTION = """\
id = "pemilu-2019"
date = 2019-04-17
time_zones = ["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"]
shard_level = "kabupaten"
levels = [
  { id = "negara", title = { id = "Negara", en = "Country" } },
  { id = "provinsi", title = { id = "Provinsi", en = "Province" } },
  { id = "kabupaten", title = { id = "Kabupaten/Kota", en = "Regency or city" } },
  { id = "kecamatan", title = { id = "Kecamatan", en = "District" } },
  { id = "kelurahan", title = { id = "Kelurahan/Desa", en = "Village" } },
]
[title]
id = "Pemilihan Umum 2019"
en = "General Election 2019"
[kinds.domestic]
spare_percent = 2
max_registered = 300
consecutive_stations = true
[kinds.overseas]
[[contests]]
id = "ppwp"
group = "ppwp"
fields = ["registered_male", "registered_female", "registered", "voters", "valid", "invalid"]
title = { id = "Presiden dan Wakil Presiden", en = "President and Vice President" }
[[contests.candidates]]
number = 1
name = "Ir. H. Joko Widodo – Prof. Dr. (H.C) KH. Ma'ruf Amin"
[[contests.candidates]]
number = 2
name = "H. Prabowo Subianto – H. Sandiaga Salahuddin Uno"
"""


def main() -> None:
    options = arguments()
    source = options.data / "pemilu2019"
    if not source.is_dir():
        sys.exit(f"{source} is not there; see bench/README.md for the data that this needs")
    out = options.out
    if out.exists():
        # Never delete a large tree just before a timed build: ext4 then creates files several times slower.
        out.rename(out.with_name(f"{out.name}.old-{time.time_ns()}"))
    content = out / "content"
    shutil.copytree(Path(__file__).parent.parent / "content" / "pages", content / "pages")
    (content / "election.toml").write_text(ELECTION)
    (out / "terbit.toml").write_text(f"workers = {options.workers}\n")
    start = time.perf_counter()
    run("import", "areas", source / "wilayah_2019.csv.gz", "--map", "kpu-2019-areas", "-o", content / "areas.csv")
    run("keys", "init", "-C", out, "--no-passphrase", "--no-offline-passphrase")
    run("import", "csv", source / "tps_2019_ppwp.csv.gz", "--map", "kpu-2019-ppwp", "-C", out)
    run("import", "csv", source / "agregat_2019.csv.gz", "--map", "kpu-2019-recap", "-C", out)
    imported = time.perf_counter()
    stages = json.loads(run("publish", "--yes", "-C", out, "--json"))["seconds"]
    published = time.perf_counter()
    run("site", out / "public", "--root", out / "keys" / "metadata" / "1.root.json", program="terbit-verify")
    if options.json:
        told = {"definition, keys, import": imported - start, "publish, whole nation": published - imported}
        print(json.dumps({**told, **{f"  {name}": seconds for name, seconds in stages.items()}}))
        return
    print(f"definition, keys, import {imported - start:7.2f} s")
    print(f"terbit publish           {published - imported:7.2f} s")
    print(f"terbit-verify site       {time.perf_counter() - published:7.2f} s")
    print(f"largest process          {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:7.0f} MB")
    print(f"\nLook at it:  terbit serve {out}/public")


def run(*words: object, program: str = "terbit") -> str:
    """Run one of our commands as an operator would, and stop when it fails."""
    command = [str(Path(sys.executable).parent / program), *map(str, words)]
    print(f"$ {program} {' '.join(map(str, words))}", file=sys.stderr)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).parent.parent
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=root / "build" / "national")
    parser.add_argument("--json", action="store_true", help="print the stages' seconds as JSON")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
