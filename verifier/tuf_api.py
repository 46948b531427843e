"""python-tuf's classes, for all of this project to import from here.

As python-tuf is imported, securesystemslib imports whatever it could sign with, and of that boto3 takes two thirds of the time: 0.1 s
of every command, where nothing signs with a cloud's key service. It is kept from boto3, which it does without where none is installed.
"""

import sys

_loaded = sys.modules.get("boto3")
if _loaded is None:
    sys.modules["boto3"] = None  # type: ignore[assignment]  # the import system's word for "not to be had"
try:
    from tuf.api.metadata import (
        DelegatedRole,
        Delegations,
        Key,
        Metadata,
        MetaFile,
        Role,
        Root,
        Signature,
        Signed,
        Snapshot,
        T,
        TargetFile,
        Targets,
        Timestamp,
    )
    from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig
finally:
    if _loaded is None:
        del sys.modules["boto3"]

__all__ = [
    "DelegatedRole",
    "Delegations",
    "FetcherInterface",
    "Key",
    "MetaFile",
    "Metadata",
    "Role",
    "Root",
    "Signature",
    "Signed",
    "Snapshot",
    "T",
    "TargetFile",
    "Targets",
    "Timestamp",
    "Updater",
    "UpdaterConfig",
]
