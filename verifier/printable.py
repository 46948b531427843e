"""How both programs print what strangers wrote: names of files, keys in TOML and JSON, paths in metadata."""

import click

__all__ = ["PrintableGroup", "counted", "printable", "say"]


def printable(text: str) -> str:
    """No escape sequence, line end or direction mark of theirs reaches the terminal: it could rewrite what stands there."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def counted(number: int, noun: str) -> str:
    """How many there are: “1 file”, “2 files”."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def say(line: object, err: bool = False) -> None:
    """One line of a report, on stdout or stderr."""
    click.echo(printable(str(line)), err=err)


class PrintableGroup(click.Group):
    """A group whose commands' usage errors are printable; they name what was typed, which may be a stranger's name."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except click.exceptions.NoArgsIsHelpError:
            raise  # its message is our own help, in lines
        except click.UsageError as error:
            raise click.UsageError(printable(error.format_message()), error.ctx) from None
