"""Definitions that several tests share; nothing changes them."""

import pytest

from builder.election import Definition
from builder.importers.areas import AreasMap, import_areas
from builder.importers.source import load_map
from tests.builder.elections import TOML_2019, TOML_2024, define, shared_data, small_election


@pytest.fixture(scope="session")
def small() -> Definition:
    return small_election()


@pytest.fixture(scope="session")
def nation_2019() -> Definition:
    source = shared_data("pemilu2019/wilayah_2019.csv.gz")
    return define(TOML_2019, import_areas(source, load_map("kpu-2019-areas", AreasMap)))


@pytest.fixture(scope="session")
def nation_2024() -> Definition:
    source = shared_data("wilayah/kpu_2024_wilayah.csv.gz")
    return define(TOML_2024, import_areas(source, load_map("kpu-2024-areas", AreasMap)))
