"""Options that several commands of `terbit` take."""

from pathlib import Path

import click

__all__ = ["attest_option", "directory_option", "json_option", "passphrase_option", "quiet_option"]

directory_option = click.option(
    "-C",
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The workspace. [default: this folder]",
)
attest_option = click.option(
    "--attest", is_flag=True, help="Vouch for the unsigned packages at PATHS yourself, where officials sign theirs."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Tell what was done as JSON on stdout.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors on stderr.")
passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the passphrase of the online keys.",
)
