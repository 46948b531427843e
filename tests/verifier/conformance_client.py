#!/usr/bin/env python3
"""The client under test of the public tuf-conformance suite (its CLIENT-CLI.md), over verifier.client.

The suite's repositories keep `metadata/` and `targets/` beside each other, as our elections do.
Some of them have keyids that are not the hash of their key, which TUF leaves open and Terbit does not.
"""

import argparse
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import LengthOrHashMismatchError

from verifier.client import Client
from verifier.errors import VerifierError
from verifier.http_fetcher import HttpFetcher


def _refreshed(arguments: argparse.Namespace) -> Client:
    base_url = arguments.metadata_url.rstrip("/").removesuffix("/metadata")
    client = Client(HttpFetcher(base_url), arguments.metadata_dir, datetime.now(UTC), stock_tuf=True)
    client.refresh()
    return client


def _download(arguments: argparse.Namespace) -> None:
    client = _refreshed(arguments)
    for name in arguments.target_name:
        target = client.find(name)
        file = arguments.target_dir / quote(name, safe="")
        try:
            target.verify_length_and_hashes(file.read_bytes())
        except (OSError, LengthOrHashMismatchError):
            file.write_bytes(client.fetch_target(target))


def main() -> int:
    """Run one command of the suite's protocol: 0 on success, 1 if anything did not verify."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metadata-url")
    parser.add_argument("--metadata-dir", required=True, type=Path)
    parser.add_argument("--target-name", action="append")
    parser.add_argument("--target-dir", type=Path)
    parser.add_argument("--target-base-url")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    arguments = parser.parse_args()
    try:
        if arguments.command == "init":
            shutil.copyfile(arguments.trusted_root, arguments.metadata_dir / "root.json")
        elif arguments.command == "refresh":
            _refreshed(arguments)
        else:
            _download(arguments)
    except VerifierError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
