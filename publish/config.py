"""`terbit.toml`: where things lie in the operator's workspace, and who signs what.

The names of keys are those of the files in `keys/`. Roles are TUF's (docs/formats.md, "TUF metadata").
"""

import datetime
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from builder.election import Election
from builder.errors import BuilderError
from builder.toml import convert_toml, parse_toml
from publish import limits
from publish.cdn.batches import Purge
from publish.errors import ConfigError
from verifier.limits import KEY_NAME

__all__ = [
    "DEFAULT_CONFIG",
    "LOG_KEY",
    "MINISIGN_KEY",
    "OFFLINE_ROLES",
    "AskConfig",
    "Config",
    "ExchangeConfig",
    "GuardConfig",
    "LogConfig",
    "Prices",
    "Role",
    "TargetConfig",
    "load_config",
    "parse_config",
]

FULL_PACKS_HOURS = 24
OFFLINE_ROLES = ("root", "targets", "trust")
MINISIGN_KEY = "minisign"  # signs results files; never metadata
LOG_KEY = "log"  # signs the log's checkpoints, and nothing else

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=64)]
Folder = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
KeyNames = Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=limits.KEYS_COUNT)]


class Role(msgspec.Struct, frozen=True):
    """Who signs a role (`threshold` of the named `keys`), and how long a signature is good for."""

    keys: tuple[str, ...]
    threshold: int
    validity: datetime.timedelta


Price = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a target's provider asks; only for the estimate of `terbit plan`. The defaults are like AWS's."""

    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")] = "USD"
    per_1000_puts: Price = 0.005
    per_1000_gets: Price = 0.0004
    per_1000_purges: Price = 5.0
    per_gb_month: Price = 0.023


class AskConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When `terbit publish` asks, besides figures that fall and leaders that change."""

    areas_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] = 5.0


class TargetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to push: a local `folder`, or a `bucket` of S3-compatible object storage."""

    folder: Folder | None = None
    bucket: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")] | None = None
    endpoint: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/]+/?\Z")] | None = None
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}\Z")] = "us-east-1"
    prefix: Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9._-]+/)*\Z", max_length=256)] = ""
    path_style: bool = True
    profile: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    without_conditions: Literal["refuse", "lock"] = "refuse"
    compress_aliases: bool = False
    prices: Prices = Prices()
    urls: tuple[Annotated[str, msgspec.Meta(pattern=r"^https?://[^?#]+/\Z")], ...] = ()
    purge: Purge | None = None

    @property
    def place(self) -> str:
        """Where it is: the same for two that are one."""
        if self.folder is not None:
            return os.path.normpath(self.folder)
        return f"{(self.endpoint or self.region).rstrip('/')} {self.bucket}/{self.prefix}"


class GuardConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `terbit guard` looks at, and whom it tells. Seconds, and numbers of files."""

    interval: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 5.0
    stale_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 180
    sample: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 50
    others: tuple[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]+/?\Z", max_length=256)], ...] = ()
    profile: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    command: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=4096)], ...] = ()
    webhook: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+\Z", max_length=4096)] | None = None
    webhook_file: Folder | None = None
    textfile: Folder | None = None


ORIGIN = r"^[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._-]+)+\Z"


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The transparency log: its origin (for `terbit keys init`), and how long witnesses have to answer."""

    origin: Annotated[str, msgspec.Meta(pattern=ORIGIN, max_length=KEY_NAME)] | None = None
    seconds: Annotated[float, msgspec.Meta(gt=0, le=300)] = 5.0


class ExchangeConfig(TargetConfig, frozen=True, forbid_unknown_fields=True):
    """Where drafts wait for the second signer, and for how many seconds a run waits for him."""

    wait: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60.0


_OFFLINE = Role(("root-1", "root-2", "root-3"), 2, datetime.timedelta(days=3650))
DEFAULT_ROLES = {
    **dict.fromkeys(OFFLINE_ROLES, _OFFLINE),
    "site": Role(("site",), 1, datetime.timedelta(days=3650)),
    "results": Role(("results",), 1, datetime.timedelta(days=3650)),
    "snapshot": Role(("snapshot",), 1, datetime.timedelta(days=1)),
    "timestamp": Role(("timestamp",), 1, datetime.timedelta(minutes=30)),
}

DEFAULT_CONFIG = Path(__file__).with_name("terbit.toml")  # says nothing but the defaults


class Config(msgspec.Struct, frozen=True):
    """`terbit.toml`, complete. Paths are relative to the workspace or absolute; `templates` None means Terbit's own."""

    content: Path
    templates: Path | None
    ledger: Path
    inbox: Path
    build: Path
    public: Path
    keys: Path
    workers: int
    roles: dict[str, Role]
    targets: dict[str, TargetConfig]
    guard: GuardConfig = GuardConfig()
    ask: AskConfig = AskConfig()
    log: LogConfig = LogConfig()
    exchange: ExchangeConfig | None = None
    full_packs_hours: int = FULL_PACKS_HOURS

    def role(self, name: str) -> Role:
        """The role `name`: its own table, else its group's (`ppwp` for `ppwp-1101`), else `results`."""
        return self.roles.get(name) or self.roles.get(name.partition("-")[0]) or self.roles["results"]

    @property
    def offline_keys(self) -> tuple[str, ...]:
        """Names of the keys that are kept away from the publisher."""
        return _key_names(self.roles[name] for name in OFFLINE_ROLES)

    @property
    def online_keys(self) -> tuple[str, ...]:
        """Names of the keys that releases are signed with, those for minisign and for the log last."""
        online = _key_names(role for name, role in self.roles.items() if name not in OFFLINE_ROLES)
        return (*online, MINISIGN_KEY, LOG_KEY)

    def log_origin(self, election: Election) -> str:
        """The name of a new log: as configured, else after the election's address, else after the first public address of a target, else one of
        this machine alone (docs/formats.md, "Log").

        Raises:
            ConfigError: the election's address makes no name.
        """
        if self.log.origin:
            return self.log.origin
        if election.address:
            host, _, path = election.address.removeprefix("https://").partition("/")
            origin = "/".join(part for part in (host.lower(), path.strip("/"), "log") if part)
            if not re.match(ORIGIN, origin) or len(origin) > KEY_NAME:
                raise ConfigError(
                    f"the log cannot be named {origin}, after the address in election.toml; name it in terbit.toml: [log] origin [origin]"
                )
            return origin
        addresses = [url for target in self.targets.values() for url in target.urls]
        host = addresses[0].partition("://")[2].partition("/")[0] if addresses else "localhost"
        return f"{host}/{election.id}/log"


class _RoleTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: KeyNames | None = None
    threshold: Annotated[int, msgspec.Meta(ge=1, le=limits.KEYS_COUNT)] | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=limits.VALIDITY_DAYS)] | None = None
    minutes: Annotated[int, msgspec.Meta(ge=1, le=limits.VALIDITY_DAYS * 24 * 60)] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    content: Folder = "content"
    templates: Folder | None = None
    ledger: Folder = "ledger"
    inbox: Folder = "inbox"
    build: Folder = "build"
    public: Folder = "public"
    keys: Folder = "keys"
    workers: Annotated[int, msgspec.Meta(ge=1, le=limits.WORKERS_COUNT)] | None = None
    roles: dict[str, Any] = {}
    targets: dict[str, Any] = {}
    guard: GuardConfig = GuardConfig()
    ask: AskConfig = AskConfig()
    log: LogConfig = LogConfig()
    exchange: ExchangeConfig | None = None
    full_packs_hours: Annotated[int, msgspec.Meta(ge=0, le=limits.VALIDITY_DAYS * 24)] = FULL_PACKS_HOURS


def load_config(path: Path) -> Config:
    """Read `terbit.toml`. Without `workers` there, one process for each processor.

    Raises:
        ConfigError: with file, key and rule.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limits.CONFIG_FILE + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path} is not there; run: terbit init, or give the workspace with -C") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    return parse_config(data, str(path), os.cpu_count() or 1)


def parse_config(data: bytes, file: str, processors: int) -> Config:
    """The bytes of `terbit.toml` to a checked Config; `file` is its name in messages. ConfigError as `load_config`."""
    if len(data) > limits.CONFIG_FILE:
        raise ConfigError(f"{file}: more than {limits.CONFIG_FILE} bytes [size]")
    try:
        tree = parse_toml(data, file=file, error=BuilderError)
        read = convert_toml(tree, _File, data, file=file, error=BuilderError, forms=FORMS)
        tables = {
            name: convert_toml(
                table, _RoleTable, data, file=file, error=BuilderError, where=f"roles.{name}", forms=FORMS
            )
            for name, table in read.roles.items()
        }
        targets = {
            name: convert_toml(
                table, TargetConfig, data, file=file, error=BuilderError, where=f"targets.{name}", forms=FORMS
            )
            for name, table in read.targets.items()
        }
    except BuilderError as error:
        raise ConfigError(str(error)) from None
    places = _targets(targets, file) or {"public": TargetConfig(folder=read.public)}
    return Config(
        content=Path(read.content),
        templates=Path(read.templates) if read.templates else None,
        ledger=Path(read.ledger),
        inbox=Path(read.inbox),
        build=Path(read.build),
        public=Path(read.public),
        keys=Path(read.keys),
        workers=read.workers or min(processors, limits.WORKERS_COUNT),
        roles=_roles(tables, file),
        targets=places,
        guard=read.guard,
        ask=read.ask,
        log=read.log,
        exchange=_exchange(read.exchange, places, file),
        full_packs_hours=read.full_packs_hours,
    )


# What the patterns of these fields ask for.
FORMS = {
    "bucket": 'a bucket\'s name has 3 to 63 small letters, digits, "." and "-"',
    "endpoint": 'give the server\'s address alone, like "https://s3.example.id": the bucket and its folder are bucket and prefix',
    "region": 'a region has small letters, digits and "-", like "ap-southeast-3"',
    "prefix": 'a prefix ends with "/", does not begin with one, and has letters, digits, ".", "_" and "-", like "2029/"',
    "urls": 'an address begins with "https://" or "http://" and ends with "/"',
    "keys": 'a key\'s name has small letters and digits, with single "-" between them',
    "currency": 'a currency is three capital letters, like "IDR"',
}


def _targets(targets: dict[str, TargetConfig], file: str) -> dict[str, TargetConfig]:
    places: dict[str, str] = {}
    for name, target in targets.items():
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > 64:
            raise ConfigError(
                f'{file}: targets: {name!r} is not a name: small letters and digits, with "-" between them [target-name]'
            )
        if (target.folder is None) == (target.bucket is None):
            raise ConfigError(f"{file}: targets.{name}: give either a folder or a bucket [target]")
        if target.purge is not None and not target.urls:
            raise ConfigError(
                f"{file}: targets.{name}: purge needs urls, the addresses that the CDN serves [purge-urls]"
            )
        # Two that are one would each find the other's timestamp instead of its own.
        if (other := places.setdefault(target.place, name)) != name:
            raise ConfigError(f"{file}: targets.{name}: it is the same place as targets.{other} [same-target]")
    return targets


def _exchange(exchange: ExchangeConfig | None, targets: dict[str, TargetConfig], file: str) -> ExchangeConfig | None:
    if exchange is not None and (exchange.folder is None) == (exchange.bucket is None):
        raise ConfigError(f"{file}: exchange: give either a folder or a bucket [target]")
    public = [name for name, target in targets.items() if exchange is not None and target.place == exchange.place]
    if public:
        raise ConfigError(
            f"{file}: exchange: what is not yet published must not lie in targets.{public[0]} [same-target]"
        )
    return exchange


def _roles(tables: dict[str, _RoleTable], file: str) -> dict[str, Role]:
    roles = dict(DEFAULT_ROLES)
    # A shard's table adds to its group's, which therefore comes first; both add to `results`.
    for name in sorted(tables, key=lambda name: (name not in DEFAULT_ROLES, "-" in name, name)):
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)?", name) or len(name) > 64:
            raise ConfigError(f"{file}: roles: {name!r} is not the name of a role, a group or a shard [role-name]")
        base = roles.get(name) or roles.get(name.partition("-")[0]) or roles["results"]
        roles[name] = _merge(base, tables[name], f"{file}: roles.{name}")
    offline = {key for name in OFFLINE_ROLES for key in roles[name].keys}
    for name, role in roles.items():
        if MINISIGN_KEY in role.keys:
            raise ConfigError(f"{file}: roles.{name}.keys: {MINISIGN_KEY!r} only signs results files [minisign-key]")
        if LOG_KEY in role.keys:
            raise ConfigError(f"{file}: roles.{name}.keys: {LOG_KEY!r} only signs the log's checkpoints [log-key]")
        if name not in OFFLINE_ROLES and offline & {*role.keys}:
            key = min(offline & {*role.keys})
            raise ConfigError(
                f"{file}: roles.{name}.keys: {key!r} also signs {', '.join(OFFLINE_ROLES)} and must stay offline; "
                "use another key [offline-key]"
            )
    return roles


def _merge(base: Role, table: _RoleTable, where: str) -> Role:
    keys = table.keys or base.keys
    threshold = table.threshold or base.threshold
    validity = base.validity
    if table.days and table.minutes:
        raise ConfigError(f"{where}: give days or minutes, not both [validity]")
    if table.days or table.minutes:
        validity = datetime.timedelta(days=table.days or 0, minutes=table.minutes or 0)
    if len({*keys}) != len(keys):
        raise ConfigError(f"{where}.keys: a key stands twice [duplicate-key]")
    if threshold > len(keys):
        raise ConfigError(f"{where}.threshold: {threshold} of {len(keys)} keys can never be reached [threshold]")
    return Role(keys, threshold, validity)


def _key_names(roles: Iterable[Role]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for role in roles for key in role.keys))
