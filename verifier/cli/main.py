"""`terbit-verify`: check what was published, without trusting who serves it.

Heavy modules are imported inside the commands, so that `--help` answers at once.
"""

import click

from verifier.cli.audit import audit
from verifier.cli.bundle import bundle, import_command
from verifier.cli.compare import compare
from verifier.cli.file import check_file
from verifier.cli.mirror import mirror
from verifier.cli.monitor import monitor
from verifier.cli.receipt import receipt
from verifier.cli.site import check_whole_site
from verifier.cli.witness import witness
from verifier.printable import PrintableGroup

__all__ = ["main"]


@click.group(cls=PrintableGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="terbit")
def main() -> None:
    """Check election results that were published with Terbit.

    \b
    Example: check one downloaded file, then a whole site
      terbit-verify file 3172.json --key-file minisign.pub
      terbit-verify site https://example.org/pemilu-2019 --root-sha256 9f86d0…

    Exit status: 0 checked, 1 could not be checked, 2 wrong usage, 4 not what was published, 5 expired.
    """


for _command in (
    audit,
    bundle,
    check_file,
    check_whole_site,
    compare,
    import_command,
    mirror,
    monitor,
    receipt,
    witness,
):
    main.add_command(_command)
