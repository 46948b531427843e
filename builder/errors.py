"""The builder's errors: one root, a leaf for each kind of input."""

from pathlib import Path

__all__ = ["BuilderError", "ContentError", "DefinitionError", "ImporterError", "LedgerError", "PackageError"]


class BuilderError(Exception):
    """Anything that keeps the builder from going on. The message says what is wrong, where, and how to mend it."""

    exit_code = 1

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        rule: str | None = None,
    ) -> None:
        self.problem, self.file, self.line, self.field, self.rule = problem, file, line, field, rule
        place = str(file) if file is not None else ""
        if line is not None:
            place += f", line {line}"
        if field is not None:
            place += f"{', ' if place else ''}field {field}"
        prefix = f"{place}: " if place else ""
        super().__init__(f"{prefix}{problem}{f' [{rule}]' if rule else ''}")


class DefinitionError(BuilderError):
    """`election.toml` or `areas.csv` is broken."""


class ContentError(BuilderError):
    """A page in `content/pages` or a template is broken."""


class PackageError(BuilderError):
    """A recap package is refused; `rule` is the code of the rule that refuses it."""


class LedgerError(BuilderError):
    """The ledger on disk is not what was written to it."""


class ImporterError(BuilderError):
    """A file cannot be turned into recap packages."""
