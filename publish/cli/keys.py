"""`terbit keys` and `terbit sign`: the keys of a workspace, and the offline signatures on what they may do."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from publish.cli.options import directory_option
from publish.cli.passphrases import new_passphrase, read_keys
from publish.cli.run import now
from verifier.printable import say

if TYPE_CHECKING:
    from datetime import datetime

    from publish.signing.keystore import KeyStore, Passphrases
    from publish.signing.offline import Offline, Plan
    from publish.workspace import Workspace

__all__ = ["create_keys", "keys", "sign"]

FILE = click.Path(dir_okay=False, path_type=Path)
PRESENT = click.Path(exists=True, dir_okay=False, path_type=Path)
# Where a medium is not mounted no folder is made for it: the keys would lie on this machine's disk.
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

offline_dir_option = click.option(
    "--offline-dir",
    type=FOLDER,
    help="Folder where the offline keys lie, best on a medium of their own. [default: keys/offline]",
)
online_passphrase_option = click.option(
    "--passphrase-file", type=FILE, help="File with the passphrase of the online keys; else it is asked for."
)
offline_passphrase_option = click.option(
    "--offline-passphrase-file", type=FILE, help="File with the passphrase of the offline keys; else it is asked for."
)
no_passphrase_option = click.option(
    "--no-passphrase", is_flag=True, help="Leave online keys unencrypted, for a publisher that runs by itself."
)
no_offline_passphrase_option = click.option(
    "--no-offline-passphrase", is_flag=True, help="Leave offline keys unencrypted: for rehearsals only."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(epilog="Example:  terbit keys init --offline-dir /media/stick")
def keys() -> None:
    """Make, replace and list the keys that sign the site."""


@keys.command()
@directory_option
@offline_dir_option
@online_passphrase_option
@offline_passphrase_option
@no_passphrase_option
@no_offline_passphrase_option
def init(
    directory: Path,
    offline_dir: Path | None,
    passphrase_file: Path | None,
    offline_passphrase_file: Path | None,
    no_passphrase: bool,
    no_offline_passphrase: bool,
) -> None:
    """Make the keys that terbit.toml names, and put the first root of trust in force.

    The offline keys are needed a few times a year: move them away from this machine, each to another person. A key
    whose public half already lies in keys/public is another person's; then `terbit sign` completes the root. After a
    stop, run the same command again.

    Example:  terbit keys init --offline-dir /media/stick
    """
    from publish.signing.keystore import Passphrases

    workspace, store, _ = _open(directory, offline_dir)
    passphrases = Passphrases(
        new_passphrase(offline_passphrase_file, no_offline_passphrase, "the offline keys", "offline-"),
        new_passphrase(passphrase_file, no_passphrase, "the online keys"),
    )
    with workspace.lock():
        waiting = create_keys(workspace, now(), offline_dir, passphrases)
    for name in store.names():
        click.echo(f"{name}\t{store.public(name).encode()}")
    if not waiting:
        click.echo(f"In force. Move {store.secret_path(store.config.offline_keys[0]).parent} away from here.", err=True)
    _tell_pending(waiting)


@keys.command()
@click.argument("name")
@directory_option
@offline_dir_option
@online_passphrase_option
@offline_passphrase_option
@no_passphrase_option
@no_offline_passphrase_option
@click.option(
    "--from-release", type=click.IntRange(min=1), help="First release of a new minisign key. [default: the next]"
)
def rotate(
    name: str,
    directory: Path,
    offline_dir: Path | None,
    passphrase_file: Path | None,
    offline_passphrase_file: Path | None,
    no_passphrase: bool,
    no_offline_passphrase: bool,
    from_release: int | None,
) -> None:
    """Replace the key NAME, and draft what the offline keys must sign for it.

    Until they have, the old key stays in force; it is kept as NAME.1 and so on. A new minisign key signs the files of
    the next release and later ones. Exit code 3, since something waits then.

    Example:  terbit keys rotate timestamp && terbit sign --key /media/stick/root-1.key --key /media/stick/root-2.key
    """
    from publish.signing.keystore import Passphrases

    workspace, store, offline = _open(directory, offline_dir)
    if name not in store.names():
        raise click.UsageError(f"terbit.toml names no key {name!r}, only {', '.join(store.names())}")
    if name in store.config.offline_keys:
        asked = new_passphrase(offline_passphrase_file, no_offline_passphrase, name, "offline-")
    else:
        asked = new_passphrase(passphrase_file, no_passphrase, name)
    with workspace.lock():
        _check_ledger_stands(workspace)
        store.rotate(name, Passphrases(asked, asked), os.urandom, from_release or _next_release(workspace))
        _refresh(workspace, store)
    click.echo(f"{name}\t{store.public(name).encode()}")
    _tell_pending([file.name for file in offline.pending()])


@keys.command()
@directory_option
def refresh(directory: Path) -> None:
    """Draft what the offline keys must sign: a new definition, other keys or roles, an end that is near.

    Prints the drafts' names; exit code 3 if there are any.

    Example:  terbit keys refresh; terbit sign
    """
    workspace, store, _ = _open(directory)
    with workspace.lock():
        _check_ledger_stands(workspace)
        names = _refresh(workspace, store)
    for name in names:
        click.echo(name)
    if not names:
        click.echo("Nothing to draft: the offline keys have signed this definition and these keys.", err=True)
    _tell_pending(names)


@keys.command(name="list")
@directory_option
@offline_dir_option
@json_option
def list_keys(directory: Path, offline_dir: Path | None, as_json: bool) -> None:
    """List the keys, what they sign, and until when the offline metadata is good.

    A key that was replaced stands as NAME.1 and so on, while it is in force until the offline keys have signed the new one.

    Example:  terbit keys list --json
    """
    from publish.signing.ceremony import keys_in_force

    _, store, offline = _open(directory, offline_dir)
    signing = keys_in_force(offline)
    listed = [one for name in store.names() for one in _told_keys(store, name, signing)]
    in_force = {file.name: f"{file.expires:%Y-%m-%dT%H:%M:%SZ}" for file in offline.chain() or ()}
    pending = [file.name for file in offline.pending()]
    if as_json:
        click.echo(json.dumps({"keys": listed, "expires": in_force, "pending": pending}))
        return
    for key in listed:
        secret = key["secret"] or ("elsewhere" if key["public"] else "-")
        state = "" if key["in_force"] or not signing else "  not in force: waits for signatures"
        click.echo(f"{key['name']:<12} {key['public'] or '(none yet)'}  {secret}  {key['roles']}{state}")
    for name, expires in in_force.items():
        click.echo(f"{name:<18} good until {expires}")
    for name in pending:
        click.echo(f"{name:<18} waits for signatures; see: terbit sign")
    if not in_force and not pending:
        click.echo("No keys are in force; next: terbit keys init", err=True)


@keys.command(name="print")
@directory_option
def print_keys(directory: Path) -> None:
    """Print an HTML page with the fingerprints that readers need, as text and QR codes: for paper, to be handed out offline.

    Example:  terbit keys print > sidik.html
    """
    from builder.languages import LANGUAGES
    from builder.pages import Pages
    from publish.errors import SigningError
    from publish.signing.paper import keys_page

    workspace, store, _ = _open(directory)
    try:
        root = (workspace.keys / "metadata" / "1.root.json").read_bytes()
        minisign = store.public_path("minisign").read_bytes()
    except FileNotFoundError as error:
        raise SigningError("no keys are in force; next: terbit keys init, then terbit sign") from error
    election, templates = workspace.definition.election, workspace.inputs.templates
    click.echo(keys_page({one: Pages(templates, election, one) for one in LANGUAGES}, root, minisign), nl=False)


@click.command()
@directory_option
@click.option("--key", "key_files", type=PRESENT, multiple=True, help="Secret key file of an offline key. Repeatable.")
@click.option("--passphrase-file", type=FILE, help="File with the passphrase of these keys; else it is asked for.")
@click.option("-y", "--yes", is_flag=True, help="Sign without asking.")
def sign(directory: Path, key_files: tuple[Path, ...], passphrase_file: Path | None, yes: bool) -> None:
    """Sign what waits: metadata in keys/pending with offline keys, else the draft of `terbit build` with the online keys.

    Metadata that has enough signatures comes into force. First shows what is to be signed: the roles and their keys, the hashes of the definition's files; `*` marks what
    changes. Compare the keys with those on paper. What Terbit would not draft itself is refused. Without --key it only shows. Exit code 3 while something waits.

    Example:  terbit sign --key /media/stick/root-1.key --key /media/stick/root-2.key
    """
    from publish.signing import ceremony

    workspace, store, offline = _open(directory)
    pending = offline.pending()
    if not pending:
        _sign_draft(workspace, passphrase_file)
        return
    offline.check(pending, _proposed(workspace, store))
    for line in ceremony.describe(offline, pending, ceremony.known_keys(store)):
        say(line)
    if not key_files:
        click.echo("Next: terbit sign --key FILE", err=True)
        sys.exit(3)
    if not yes:
        _confirm(f"Sign this with {', '.join(map(str, key_files))}?")
    signers = read_keys(key_files, passphrase_file)
    ceremony.check_say(
        offline, pending, {path: key.public for path, key in zip(key_files, signers, strict=True)}, store
    )
    with workspace.lock():
        offline.add_signatures(pending, signers)
        promoted = ceremony.promote(offline, _next_release(workspace))
    if promoted:
        click.echo(f"In force: {', '.join(promoted)}", err=True)
    _tell_pending(list(offline.unsigned()))


def _confirm(question: str) -> None:
    """Go on after a yes alone. SigningError where nobody is there to be asked."""
    from publish.errors import SigningError

    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise SigningError(f"{question} There is no terminal to ask at; give --yes") from None
    if not agreed:
        raise click.Abort


def _proposed(workspace: Workspace, store: KeyStore) -> Plan | None:
    """What this workspace would have signed; None on a signer's own machine that has only terbit.toml and the keys."""
    from publish.officials import trust_files
    from publish.signing import ceremony

    if not (workspace.inputs.content / "election.toml").exists():
        click.echo("No content here to compare with: compare the hashes with those of your own copy.", err=True)
        return None
    return ceremony.make_plan(store, workspace.definition.election.groups, trust_files(workspace.inputs))


def _sign_draft(workspace: Workspace, passphrase_file: Path | None) -> None:
    """Sign the release that `terbit build` left in build/draft."""
    from publish.progress import Stages
    from publish.release.draft import Draft
    from publish.release.flow import Flow

    drafts = [state for path in workspace.build.glob("draft/*") if (state := Draft(path).state())]
    if not any(state.stage == "built" for state in drafts):
        click.echo("Nothing waits for a signature.", err=True)
        return
    with workspace.lock(), Flow(workspace, Stages(), now(), passphrase_file) as flow:
        state = flow.sign()
    click.echo(f"Release {state.release} is signed; next: terbit push", err=True)


def create_keys(
    workspace: Workspace, now: datetime, offline_dir: Path | None = None, passphrases: Passphrases | None = None
) -> list[str]:
    """Make a workspace's keys and put its first root of trust in force; returns what waits for other persons' keys.

    Without `passphrases` all keys are unencrypted, which is for demonstrations.
    """
    from publish.officials import trust_files
    from publish.signing.ceremony import initialize
    from publish.signing.keystore import KeyStore, Passphrases

    store, definition = KeyStore(workspace.keys, workspace.config, offline_dir), workspace.definition
    given = passphrases or Passphrases(None, None)
    origin = workspace.config.log_origin(definition.election)
    return initialize(
        store,
        given,
        definition.election.groups,
        trust_files(workspace.inputs),
        now=now,
        random=os.urandom,
        origin=origin,
    )


def _open(directory: Path, offline_dir: Path | None = None) -> tuple[Workspace, KeyStore, Offline]:
    from publish.signing.keystore import KeyStore
    from publish.signing.offline import Offline
    from publish.workspace import Workspace

    workspace = Workspace(directory.resolve())
    return workspace, KeyStore(workspace.keys, workspace.config, offline_dir), Offline(workspace.keys)


def _check_ledger_stands(workspace: Workspace) -> None:
    """What the ledger has must stand under the definition and the officials that lie here: better said before people are asked to sign."""
    from publish.accepted import check_accepted
    from publish.officials import check_removals

    _ = workspace.rows
    check_removals(workspace)
    check_accepted(workspace)


def _refresh(workspace: Workspace, store: KeyStore) -> list[str]:
    from publish.officials import trust_files
    from publish.signing import ceremony

    return ceremony.refresh(
        store,
        workspace.definition.election.groups,
        trust_files(workspace.inputs),
        now=now(),
        next_release=_next_release(workspace),
    )


def _next_release(workspace: Workspace) -> int:
    cuts = workspace.ledger.cuts
    return cuts[-1].release + 1 if cuts else 1


def _tell_pending(names: Sequence[str]) -> None:
    """Exit code 3 if something waits: what the command was for is not in force."""
    if names:
        click.echo(f"Waiting for offline signatures: {', '.join(names)}. Next: terbit sign --key FILE", err=True)
        sys.exit(3)


def _told_keys(store: KeyStore, name: str, signing: set[str]) -> Iterator[dict[str, str | bool | None]]:
    """The key `name`, and those before it that are in force still: `signing` are the keyids of the keys that are."""
    from publish.config import LOG_KEY, MINISIGN_KEY
    from publish.signing.repository import tuf_key

    alone = {MINISIGN_KEY: "results files", LOG_KEY: "the log's checkpoints"}
    roles = alone.get(name) or ", ".join(role for role, one in store.config.roles.items() if name in one.keys)
    current = store.public(name) if store.public_path(name).exists() else None
    for one, public in {name: current, **store.replaced(name)}.items():
        in_force = public is not None and tuf_key(public).keyid in signing
        path = store.secret_path(name).with_name(f"{one}.key")
        if one == name or in_force:
            yield {
                "name": one,
                "public": public.encode() if public else None,
                "secret": str(path) if path.exists() else None,
                "roles": roles,
                "in_force": in_force,
            }
