"""A simulated site, and a server that shows it."""

from collections.abc import Iterator

import pytest

from tests.servers import serving
from tests.verifier.site_simulator import SiteServer, SiteSimulator


@pytest.fixture
def site() -> SiteSimulator:
    return SiteSimulator()


@pytest.fixture
def upstream(site: SiteSimulator) -> Iterator[SiteServer]:
    with serving(SiteServer(site.tree)) as server:
        yield server
