"""The publisher's errors: one root, few leaves. Each ends a command with exit code 1."""

__all__ = [
    "ConfigError",
    "DriftError",
    "FrozenError",
    "KeyFileError",
    "LogError",
    "PendingError",
    "PublishError",
    "RaceError",
    "SigningError",
    "TargetError",
]


class PublishError(Exception):
    """Anything that keeps the publisher from finishing. What was published before stays whole."""

    exit_code = 1


class ConfigError(PublishError):
    """`terbit.toml` does not say what it must."""


class KeyFileError(PublishError):
    """A key file is missing, unsafe, damaged, or its passphrase is wrong."""


class FrozenError(PublishError):
    """The workspace is frozen (`terbit freeze`): the last release stays, nothing new is made."""


class SigningError(PublishError):
    """Something cannot be signed: a key that has no say here, or too few signatures."""


class LogError(PublishError):
    """The public log cannot be continued from here without forking it, or is damaged here."""


class TargetError(PublishError):
    """The place we publish to refused, or holds something else than we put there."""


class PendingError(PublishError):
    """A release waits for somebody's yes; the last one stays public, with its heartbeat."""

    exit_code = 3


class DriftError(PublishError):
    """What a plan rests on is no longer so."""


class RaceError(TargetError):
    """Another publisher was faster: what stands there is his, and nothing of ours was mixed into it."""
