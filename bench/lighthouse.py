"""Google's Lighthouse over one page of each kind, at its mobile settings and on slow 3G; ends with 1 where a goal is missed.

    python bench/lighthouse.py [--public FOLDER] [--runs 3]

Needs Chromium, nginx, which compresses as a public site's front does, and Lighthouse in build/lighthouse, where `make lighthouse` puts it.
Of each tier, the largest page is taken. Scores are of wall clocks: where other work runs, the best of several runs says most.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from publish.serve import Server

ROOT = Path(__file__).parent.parent
LIGHTHOUSE = ROOT / "build" / "lighthouse" / "node_modules" / "lighthouse" / "cli" / "index.js"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
MOBILE = ("--throttling-method=simulate",)
# Chromium's own "Slow 3G", applied and not estimated: 2 s until the first byte of each answer, 400 kbit/s.
SLOW_3G = (
    *("--throttling-method=devtools", "--only-categories=performance", "--throttling.requestLatencyMs=2000"),
    *("--throttling.downloadThroughputKbps=400", "--throttling.uploadThroughputKbps=400"),
)
LCP_MS = 2500
FRONT = """\
daemon off;
pid {folder}/pid;
error_log {folder}/log;
events {{ }}
http {{
    access_log off;
    gzip on;
    gzip_proxied any;
    gzip_types text/css text/javascript application/json image/svg+xml;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {origin}; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--public", type=Path, default=ROOT / "build" / "lighthouse" / "demo" / "public")
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    chromium, nginx = (shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in ("chromium", "nginx"))
    if not (LIGHTHOUSE.exists() and chromium and nginx):
        sys.exit("Lighthouse, Chromium or nginx is missing; run: make lighthouse")
    print(f"{'page':<36} perf acc best seo   LCP s   CLS   TBT s | slow 3G: perf   LCP s   CLS   TBT s")
    missed = False
    with front(options.public, nginx) as url:
        for page in pages(options.public):
            mobile, slow = (
                max(
                    (judge(url + page, chromium, settings) for _ in range(options.runs)),
                    key=lambda one: one["performance"],
                )
                for settings in (MOBILE, SLOW_3G)
            )
            scores = [mobile[name] for name in CATEGORIES]
            line = f"{page:<36}{'{:5}{:4}{:5}{:4}'.format(*scores)}{figures(mobile)}"
            print(f"{line} | {slow['performance']:13}{figures(slow)}", flush=True)
            missed |= scores != [100] * 4 or slow["performance"] < 95
            missed |= any(found["lcp"] > LCP_MS or found["cls"] > 0 for found in (mobile, slow))
            for name, title in mobile["short"].items():
                print(f"    {name}: {title}", file=sys.stderr)
    sys.exit(missed)


@contextmanager
def front(public: Path, nginx: str) -> Iterator[str]:
    """The address of `terbit serve` behind a server that compresses."""
    with Server(public, "127.0.0.1", 0) as server, tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        config = Path(folder) / "nginx.conf"
        config.write_text(FRONT.format(folder=folder, port=port, origin=server.url))
        running = subprocess.Popen([nginx, "-p", folder, "-c", config, "-e", f"{folder}/log"])
        try:
            time.sleep(1)
            yield f"http://127.0.0.1:{port}/"
        finally:
            running.terminate()
            running.wait()
            server.shutdown()


def pages(public: Path) -> list[str]:
    """The front page, and of each tier the largest page of the first contest: tiers' codes differ in length."""
    (nation,) = public.glob("*/ppwp/0.html")
    tiers: dict[int, Path] = {}
    for page in nation.parent.rglob("[0-9]*.html"):
        tier = len(page.stem)
        if tier not in tiers or page.stat().st_size > tiers[tier].stat().st_size:
            tiers[tier] = page
    chosen = [nation.parent.parent / "index.html", *(tiers[tier] for tier in sorted(tiers))]
    return [page.relative_to(public).as_posix() for page in chosen]


def judge(url: str, chromium: str, settings: tuple[str, ...]) -> dict:
    """Scores of 100 by category, LCP and blocking time in milliseconds, CLS, and the audits that fell short, by name."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        flags = "--chrome-flags=--headless=new --no-sandbox"
        command = ["node", LIGHTHOUSE, url, "--quiet", "--output=json", f"--output-path={report}", flags, *settings]
        # Now and then the browser's trace has no beginning; Lighthouse then asks to be run again.
        for last in (False, False, True):
            environment = {**os.environ, "CHROME_PATH": chromium}
            if subprocess.run(command, check=last, env=environment).returncode == 0:
                break
        found = json.loads(report.read_bytes())
    audits = found["audits"]
    weighed = {one["id"] for category in found["categories"].values() for one in category["auditRefs"] if one["weight"]}
    return {
        **{name: round(100 * category["score"]) for name, category in found["categories"].items()},
        "lcp": audits["largest-contentful-paint"]["numericValue"],
        "cls": audits["cumulative-layout-shift"]["numericValue"],
        "tbt": audits["total-blocking-time"]["numericValue"],
        "short": {
            name: audit["title"] for name, audit in audits.items() if name in weighed and (audit["score"] or 0) < 1
        },
    }


def figures(found: dict) -> str:
    return f"{found['lcp'] / 1000:8.2f}{found['cls']:6.2f}{found['tbt'] / 1000:8.2f}"


if __name__ == "__main__":
    main()
