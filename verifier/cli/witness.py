"""`terbit-verify witness`: cosign the checkpoints of logs that never took anything back."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from verifier import limits
from verifier.cli.common import read_own, reported
from verifier.cli.options import FILE, FOLDER
from verifier.errors import FetchError, VerifierError
from verifier.printable import PrintableGroup, counted, say

if TYPE_CHECKING:
    from verifier.formats.minisign_secret import SecretKey
    from verifier.formats.tlog_policy import Log, Policy
    from verifier.witness import Logs
    from verifier.witness_store import WitnessStore

__all__ = ["witness"]

KEY = "witness.key"
POLICY = "tlog-policy.txt"
OUT = "cosigned"
NO_LOGS = (
    b"# The logs that this witness knows, one a line: log <vkey> [<url>]. Only these lines count here.\nquorum none\n"
)

folder_argument = click.argument("folder", metavar="DIR", type=FOLDER)
passphrase_option = click.option(
    "--passphrase-file", type=FILE, help="File with the passphrase of the key; else it is asked for."
)


@click.group(cls=PrintableGroup)
def witness() -> None:
    """Run a witness: cosign what election logs say, unless it contradicts what they said before.

    DIR holds the key, the policy file that names the logs, what was cosigned, and evidence.

    \b
    Example:
      terbit-verify witness init DIR --name saksi.example.org/1 --policy tlog-policy.txt
      terbit-verify witness serve DIR
    """


@witness.command()
@folder_argument
@click.option("--name", required=True, help="The key's name: a domain that you own, and a path if you like.")
@click.option("--policy", type=FILE, help="A log's tlog-policy.txt; its log lines are the logs to witness.")
@click.option("--url", help="Where the witness will be asked (its submission prefix); printed with the key.")
@click.option("--no-passphrase", is_flag=True, help="Leave the key unencrypted, for a witness that starts by itself.")
@passphrase_option
def init(
    folder: Path, name: str, policy: Path | None, url: str | None, no_passphrase: bool, passphrase_file: Path | None
) -> None:
    """Make a witness in DIR: its key, an empty memory. Prints the line for the log's policy.

    A key that is in DIR already as witness.key (`minisign -G -s DIR/witness.key`) is used.

    \b
    Example:
      terbit-verify witness init saksi --name saksi.example.org/1 --policy tlog-policy.txt
    """
    if no_passphrase and passphrase_file is not None:
        raise click.UsageError("--no-passphrase and --passphrase-file exclude each other")
    with reported():
        from verifier.durable import write_durably
        from verifier.formats.minisign_secret import SecretKey
        from verifier.formats.note import COSIGNATURE_V1, VerifierKey
        from verifier.formats.tlog_policy import Policy
        from verifier.witness_store import WitnessStore

        named = read_own(policy, limits.LOG_POLICY_FILE, Policy.parse) if policy else Policy.parse(NO_LOGS)
        VerifierKey(name, COSIGNATURE_V1, bytes(32))  # a name that is wrong is told before anything is made
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / KEY).exists():
            secret = _secret(folder, passphrase_file)
        else:
            secret = SecretKey.generate(os.urandom)
            passphrase = None if no_passphrase else _passphrase(passphrase_file, new=True)
            write_durably(folder / KEY, secret.encode(passphrase, os.urandom), mode=0o600)
        key = VerifierKey(name, COSIGNATURE_V1, secret.public.key)
        if not (folder / POLICY).exists():
            logs = Policy(named.logs, (), (), None).encode()
            write_durably(folder / POLICY, logs if named.logs else NO_LOGS)
        WitnessStore.create(folder, key)
    click.echo(f"witness {name} {key.encode()} {url or ''}".rstrip())
    say(f"The line above goes into the log's policy. Logs to witness: {folder / POLICY}", err=True)


@witness.command()
@folder_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=7380, show_default=True, type=click.IntRange(0, 65535))
@click.option("--rate", default=1.0, show_default=True, type=click.FloatRange(0.001), help="Requests a second.")
@click.option("--burst", default=30, show_default=True, type=click.IntRange(1), help="Requests at once.")
@click.option("--behind-proxy", is_flag=True, help="A proxy of yours writes the client's address to X-Forwarded-For.")
@passphrase_option
def serve(
    folder: Path, host: str, port: int, rate: float, burst: int, behind_proxy: bool, passphrase_file: Path | None
) -> None:
    """Answer logs over HTTP (C2SP tlog-witness), until it is stopped. --rate and --burst count for each address.

    \b
    Example:
      terbit-verify witness serve saksi --behind-proxy
    """
    with reported(), _store(folder, passphrase_file) as store:
        from verifier.witness import known_logs
        from verifier.witness_server import RateLimit, WitnessServer

        logs = known_logs(_policy(folder))
        limit = RateLimit(rate, burst, time.monotonic)
        with WitnessServer(store, logs, host, port, limit, behind_proxy=behind_proxy) as server:
            say(f"Witness of {counted(len(logs), 'log')} at {server.url}/add-checkpoint (stop with Ctrl-C)", err=True)
            with suppress(KeyboardInterrupt):
                server.serve_forever()


@witness.command()
@folder_argument
@click.option("--out", type=FOLDER, help="Default: DIR/cosigned.")
@click.option("--post", "post_to", metavar="URL", help="Also POST each cosigned checkpoint to URL.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object for each log.")
@passphrase_option
def pull(folder: Path, out: Path | None, post_to: str | None, as_json: bool, passphrase_file: Path | None) -> None:
    """Read each log at the URL that the policy file gives, check its past from its tiles, and cosign. For cron.

    A cosigned checkpoint is left in <out>/<SHA-256 of the log's origin>/checkpoint, for any web server to show.

    \b
    Example:
      terbit-verify witness pull saksi --passphrase-file passphrase
    """
    worst = 0
    with reported(), _store(folder, passphrase_file) as store:
        from verifier.witness import known_logs
        from verifier.witness_store import origin_hash

        policy = _policy(folder)
        logs = [log for log in policy.logs if log.url is not None]
        if not logs:
            raise VerifierError(f"{folder / POLICY}: no log has a URL: nothing to pull; write: log <vkey> <url>")
        for log in logs:
            origin = log.key.name
            target = (out or folder / OUT) / origin_hash(origin) / "checkpoint"
            status, message, code = _pull(log, known_logs(policy), store, target, post_to)
            worst = max(worst, code)
            if as_json:
                click.echo(json.dumps({"origin": origin, "status": status, "message": message, "file": str(target)}))
            else:
                say(f"{origin}: {message}", err=code != 0)
    sys.exit(worst)


@witness.command("log")
@folder_argument
@click.option("-n", "--count", default=50, show_default=True, type=click.IntRange(1), help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
def show_log(folder: Path, count: int, as_json: bool) -> None:
    """Show what the witness saw: which checkpoints, signed by their logs, from where, and what was answered.

    \b
    Example:
      terbit-verify witness log saksi -n 100
    """
    with reported():
        from verifier.witness_store import read_seen

        rows = read_seen(folder, count)
    for row in rows:
        moment = datetime.fromtimestamp(row.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if as_json:
            shown = {"time": moment, "source": row.source, "origin": row.origin, "old_size": row.old_size}
            shown |= {"size": row.size, "root": row.root.hex(), "status": row.status, "message": row.message}
            click.echo(json.dumps(shown))
        else:
            say(f"{moment} {row.status} {row.origin} {row.old_size} → {row.size} from {row.source}: {row.message}")


def _pull(log: Log, logs: Logs, store: WitnessStore, target: Path, post_to: str | None) -> tuple[int, str, int]:
    """What became of one log: status as of add-checkpoint (0: it could not be had), message, exit code."""
    from verifier.durable import write_durably
    from verifier.http_fetcher import HttpFetcher
    from verifier.witness_pull import post, pull

    url = log.url or ""
    try:
        if not url.startswith(("https://", "http://")):
            raise FetchError(f"{url} is not a URL that begins with https:// or http://")
        answer = pull(HttpFetcher(url), log.key.name, logs, store, url)
        if answer.signed is not None:
            data = answer.signed.encode()
            write_durably(target, data)
            if post_to is not None:
                post(post_to, data)
    except VerifierError as error:
        return 0, str(error), error.exit_code
    except OSError as error:
        return 0, f"{target} cannot be written: {error.strerror}", 1
    if answer.signed is None:
        # 409: another process of this witness was faster. All else says something about the log.
        return answer.status, answer.message, 1 if answer.status == 409 else 4
    return answer.status, answer.message, 0


@contextmanager
def _store(folder: Path, passphrase_file: Path | None) -> Iterator[WitnessStore]:
    from verifier.witness_store import WitnessStore

    key, secret = WitnessStore.key_of(folder), _secret(folder, passphrase_file)
    if secret.public.key != key.key:
        raise VerifierError(f"{folder / KEY} is not the key of {key.name}; restore it from your backup")
    with WitnessStore(folder, key, secret.sign, lambda: int(time.time())) as store:
        yield store


def _policy(folder: Path) -> Policy:
    from verifier.formats.tlog_policy import Policy

    return read_own(folder / POLICY, limits.LOG_POLICY_FILE, Policy.parse)


def _secret(folder: Path, passphrase_file: Path | None) -> SecretKey:
    from verifier.formats.minisign_secret import SecretKey, is_encrypted

    path = folder / KEY

    def unlock(data: bytes) -> SecretKey:
        if path.stat().st_mode & 0o077:
            raise VerifierError(f"{path} may be read by others on this machine; run: chmod 600 '{path}'")
        return SecretKey.parse(data, _passphrase(passphrase_file) if is_encrypted(data) else None)

    return read_own(path, limits.SECRET_KEY_FILE, unlock)


def _passphrase(file: Path | None, new: bool = False) -> bytes:
    if file is not None:
        text = read_own(file, limits.SECRET_KEY_FILE, lambda data: data.rstrip(b"\r\n"))
    elif sys.stdin.isatty():
        prompt = "Passphrase of the witness's key"
        text = str(click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True)).encode()
    else:
        raise VerifierError("the key needs a passphrase: give --passphrase-file FILE, or for a new key --no-passphrase")
    if not text:
        raise VerifierError("the passphrase is empty")
    return text
