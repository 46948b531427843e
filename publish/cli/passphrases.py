"""Passphrases of keys: from a file or typed, never from an argument that others can see."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from getpass import GetPassWarning
from pathlib import Path
from typing import TYPE_CHECKING

import click

from publish.errors import KeyFileError

if TYPE_CHECKING:
    from publish.signing.keys import SecretKey

__all__ = ["new_passphrase", "read_keys"]


def read_keys(files: Sequence[Path], passphrase_file: Path | None) -> list[SecretKey]:
    """Secret keys from their files, of which those that are encrypted have one passphrase, in a file or typed."""
    from publish.signing.keys import is_encrypted, read_secret_key

    found = []
    for path in files:
        asked = (
            _passphrase(passphrase_file, f"Passphrase for {path}", "--passphrase-file FILE")
            if is_encrypted(path)
            else None
        )
        found.append(read_secret_key(path, asked))
    return found


def new_passphrase(file: Path | None, none: bool, of: str, prefix: str = "") -> bytes | None:
    """The passphrase for a new key; `prefix` is that of the options that give it."""
    options = f"--{prefix}passphrase-file FILE or --no-{prefix}passphrase"
    return None if none else _passphrase(file, f"Passphrase for {of}", options, new=True)


def _passphrase(file: Path | None, prompt: str, options: str, new: bool = False) -> bytes:
    """The passphrase in `file`, without the end of its line, or what is typed (twice for a new key)."""
    from publish import limits

    if file is None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", GetPassWarning)  # it would show what is typed, or read an empty input
                typed: str = click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True)
        except GetPassWarning:
            raise KeyFileError(f"{prompt}: there is no terminal to ask at; give {options}") from None
        return typed.encode()
    try:
        with file.open("rb") as opened:
            data = opened.read(limits.PASSPHRASE_FILE + 1)
    except OSError as error:
        raise KeyFileError(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > limits.PASSPHRASE_FILE:
        raise KeyFileError(f"{file} is too big for a passphrase (at most {limits.PASSPHRASE_FILE} bytes)")
    found = data.removesuffix(b"\n").removesuffix(b"\r")
    if new and not found:  # a key that looks encrypted, and is open to everybody
        raise KeyFileError(f"{file} holds no passphrase; write one into it, or give {options}")
    return found
