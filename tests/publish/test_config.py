"""terbit.toml: defaults, overrides, and every mistake refused by name."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publish.config import DEFAULT_CONFIG, load_config, parse_config
from publish.errors import ConfigError


def parse(text: str):
    return parse_config(text.encode(), "terbit.toml", processors=2)


DEFAULT = parse("")


def test_empty_file_has_defaults():
    """An empty terbit.toml is complete."""
    assert DEFAULT.content == Path("content")
    assert DEFAULT.templates is None
    assert DEFAULT.workers == 2
    assert DEFAULT.role("root").keys == ("root-1", "root-2", "root-3")
    assert DEFAULT.role("trust").threshold == 2
    assert DEFAULT.role("timestamp").validity == timedelta(minutes=30)
    assert DEFAULT.role("snapshot").validity == timedelta(days=1)
    assert DEFAULT.role("ppwp-1101") == DEFAULT.role("results")


def test_default_text_is_the_defaults():
    """The file that `terbit init` writes says nothing but the defaults."""
    assert parse(DEFAULT_CONFIG.read_text()) == DEFAULT


def test_comments_of_the_default_text_show_the_defaults():
    """The commented lines of that file, uncommented without the two examples of overrides, are the defaults too."""
    kept = [
        line
        for line in DEFAULT_CONFIG.read_text().splitlines()
        if " = " in line or line.startswith(("# [roles.", "# [targets.", "# [exchange", "# [log", "# [guard", "# [ask"))
    ]
    text = "\n".join(line.removeprefix("# ") for line in kept).replace('templates = "templates"', "")
    text, _, bucket = text.partition("[targets.bucket]")
    assert parse("[targets.bucket]" + bucket).targets["bucket"].bucket == "hasil"
    before, _, rest = text.partition("[roles.ppwp]")
    assert parse(before + rest[rest.index("[roles.snapshot]") :]) == DEFAULT


def test_keys_are_offline_or_online():
    """The offline keys are those of root, targets and trust; all others and minisign's are online."""
    assert DEFAULT.offline_keys == ("root-1", "root-2", "root-3")
    assert DEFAULT.online_keys == ("site", "results", "snapshot", "timestamp", "minisign", "log")


def test_shard_falls_back_to_its_group_then_to_results():
    """A shard's table adds to its group's, whatever the order in the file."""
    config = parse(
        '[roles."ppwp-1101"]\nthreshold = 2\n[roles.ppwp]\nkeys = ["a", "b"]\ndays = 7\n[roles.results]\nminutes = 90\n'
    )
    assert config.role("ppwp-1101").keys == ("a", "b")
    assert config.role("ppwp-1101").threshold == 2
    assert config.role("ppwp-1101").validity == timedelta(days=7)
    assert config.role("ppwp-1102") == config.role("ppwp")
    assert config.role("ppwp").threshold == 1
    assert config.role("dpr-1101").validity == timedelta(minutes=90)
    assert "b" in config.online_keys


MISTAKES = {
    "unknown-key": (
        '\ninbx = "x"',
        "line 2, field inbx: there is no key 'inbx' here; is it misspelt, or does it belong to another table? [unknown-key]",
    ),
    "unknown-key-in-role": ("[roles.root]\nkey = 1", "line 2, field roles.root.key: there is no key 'key' here"),
    "path-not-text": ("inbox = 1", "inbox: must be a text in quotation marks, not a whole number [type]"),
    "path-empty": ('inbox = ""', "inbox: must not be empty [type]"),
    "workers-zero": ("workers = 0", "workers: must be at least 1 [type]"),
    "workers-many": ("workers = 65", "workers: must be at most 64 [type]"),
    "workers-true": ("workers = true", "workers: must be a whole number, not true or false [type]"),
    "days-float": ("[roles.root]\ndays = 1.5", "roles.root.days: must be a whole number, not a number [type]"),
    "days-whole-float": ("[roles.root]\ndays = 1.0", "roles.root.days: must be a whole number, not a number [type]"),
    "days-zero": ("[roles.root]\ndays = 0", "roles.root.days: must be at least 1 [type]"),
    "days-huge": ("[roles.root]\ndays = 9223372036854775808", "roles.root.days: must be at most 36500 [type]"),
    "days-text": (
        '[roles.root]\ndays = "1"',
        "roles.root.days: must be a whole number, not a text in quotation marks [type]",
    ),
    "both": ("[roles.timestamp]\ndays = 1\nminutes = 1", "roles.timestamp: give days or minutes, not both [validity]"),
    "threshold-above-keys": ("[roles.root]\nthreshold = 4", "roles.root.threshold: 4 of 3 keys can never be reached"),
    "keys-fewer-than-threshold": ('[roles.root]\nkeys = ["a"]', "roles.root.threshold: 2 of 1 keys"),
    "key-twice": ('[roles.root]\nkeys = ["a", "a"]', "roles.root.keys: a key stands twice [duplicate-key]"),
    "no-keys": ("[roles.root]\nkeys = []", "roles.root.keys: must not be empty [type]"),
    "key-name-path": ('[roles.root]\nkeys = ["../a", "b"]', "roles.root.keys[0]: a key's name has small letters"),
    "key-name-newline": ('[roles.root]\nkeys = ["a\\n", "b"]', "roles.root.keys[0]: a key's name has small letters"),
    "minisign-key": ('[roles.site]\nkeys = ["minisign"]', "roles.site.keys: 'minisign' only signs results"),
    "offline-key-online": ('[roles.site]\nkeys = ["root-1"]', "roles.site.keys: 'root-1' also signs root, targets"),
    "role-name": ('[roles."PPWP"]\ndays = 1', "roles: 'PPWP' is not the name of a role"),
    "role-name-deep": ('[roles."a-b-c"]\ndays = 1', "roles: 'a-b-c' is not the name of a role"),
    "role-not-table": ("[roles]\nroot = 1", "roles.root: must be a table, not a whole number [type]"),
    "roles-not-table": ("roles = 1", "roles: must be a table, not a whole number [type]"),
    "prefix": (
        '[targets.a]\nbucket = "aaa"\nprefix = "a/"\n[targets.b]\nbucket = "aaa"\nprefix = "b"',
        'terbit.toml, line 6, field targets.b.prefix: a prefix ends with "/"',
    ),
    "endpoint": (
        '[targets.b]\nbucket = "aaa"\nendpoint = "https://s3/aaa"',
        "targets.b.endpoint: give the server's address",
    ),
    "urls": ('[targets.b]\nbucket = "aaa"\nurls = ["https://s3"]', "targets.b.urls[0]: an address begins"),
    "target-name": ('[targets.B]\nfolder = "x"', "targets: 'B' is not a name"),
    "target-field": ('[targets.b]\nfoldr = "x"', "line 2, field targets.b.foldr: there is no key 'foldr' here"),
    "target-not-table": ("[targets]\nb = 1", "targets.b: must be a table, not a whole number [type]"),
    "same-bucket": (
        '[targets.a]\nbucket = "aaa"\nendpoint = "https://s3"\n[targets.b]\nbucket = "aaa"\nendpoint = "https://s3/"',
        "targets.b: it is the same place as targets.a [same-target]",
    ),
    "same-folder": ('[targets.a]\nfolder = "x"\n[targets.b]\nfolder = "./x/"', "the same place as targets.a"),
    "duplicate": ("workers = 1\nworkers = 2", "not TOML"),
    "not-toml": ("\nworkers = two\n", "terbit.toml, line 2: not TOML: Invalid value [syntax]"),
    "nul": ("workers = 1\0", "not TOML"),
    "big": ("#" * 300_000, "more than 256000 bytes [size]"),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_refused_by_file_key_and_rule(text, message):
    """Each mistake is a ConfigError that names the file, the line where it is known, the key and the rule."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value).startswith(("terbit.toml: ", "terbit.toml, "))
    assert message in str(caught.value)


@given(st.binary(max_size=60))
def test_nothing_but_config_errors(data):
    """Whatever the bytes, the answer is a Config or a ConfigError."""
    try:
        parse_config(data, "terbit.toml", processors=1)
    except ConfigError:
        return


def test_missing_file_names_the_remedy(tmp_path):
    """Without terbit.toml the message says how to get one."""
    with pytest.raises(ConfigError, match="terbit init"):
        load_config(tmp_path / "terbit.toml")


def test_file_on_disk_is_read(tmp_path):
    """`load_config` reads the file and counts the processors."""
    (tmp_path / "terbit.toml").write_text('public = "/srv/public"\n')
    config = load_config(tmp_path / "terbit.toml")
    assert config.public == Path("/srv/public")
    assert config.workers >= 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[exchange]\n", "either a folder or a bucket"),
        ('[exchange]\nfolder = "x"\nbucket = "hasil"\n', "either a folder or a bucket"),
        ('[targets.a]\nfolder = "x"\n[exchange]\nfolder = "x/"\n', "must not lie in targets.a"),
        ('[exchange]\nfolder = "public"\n', "must not lie in targets.public"),
    ],
)
def test_a_draft_never_waits_in_public(text: str, problem: str):
    """The exchange is one place, and none that is published."""
    with pytest.raises(ConfigError, match=problem):
        parse(text)
