"""Nothing that a stranger named rewrites the reader's terminal."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from verifier.cli.main import main
from verifier.printable import PrintableGroup, printable, say

ATTACKS = {
    "clear-screen": ("\x1b[2J", r"\x1b[2J"),
    "title": ("\x1b]0;X\x07", r"\x1b]0;X\x07"),
    "c1-control": ("\x9b31m", r"\x9b31m"),
    "line-above": ("a\r\nIn force", r"a\r\nIn force"),
    "right-to-left": ("\u202egnp", r"\u202egnp"),
    "isolate": ("\u2066x", r"\u2066x"),
    "line-separator": ("a\u2028b", r"a\u2028b"),
    "not-utf-8": ("\udcff", r"\udcff"),
}


@pytest.mark.parametrize(("hostile", "shown"), ATTACKS.values(), ids=ATTACKS)
def test_hostile_names_are_shown_escaped(hostile: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters, direction marks and line ends are spelt out, in reports and in usage errors alike."""
    assert printable(f"é {hostile}") == f"é {shown}"
    say(hostile, err=True)
    assert capsys.readouterr().err == f"{shown}\n"

    @click.group(cls=PrintableGroup)
    def program() -> None: ...

    @program.command("check")
    def check() -> None: ...

    result = CliRunner().invoke(program, ["check", hostile])
    assert result.exit_code == 2
    assert result.stderr.endswith(f"({shown})\n")


@pytest.mark.parametrize("words", [["witness"], ["mirror"]], ids=" ".join)
def test_a_group_without_a_command_prints_its_help(words: list[str]) -> None:
    """A group that is called without a command prints its help in lines, as --help does, and ends with 2."""
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert result.stderr.rstrip() == CliRunner().invoke(main, [*words, "--help"]).stdout.rstrip()


def test_hostile_folder_names_in_usage_errors_are_escaped(tmp_path: Path) -> None:
    """Two elections under one folder are named without their escape sequences."""
    for name in ("a\x1b]0;X\x07", "b"):
        (tmp_path / name / "metadata").mkdir(parents=True)
        (tmp_path / name / "metadata" / "timestamp.json").touch()
    result = CliRunner().invoke(main, ["site", str(tmp_path)])
    assert result.exit_code == 2
    assert r"found: a\x1b]0;X\x07, b" in result.stderr
    assert "\x1b" not in result.output
