"""A good plugin and a careless one, each on a platform of its own."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pegboard.conformance.subject import Subject, open_subject

from tests.kernel.conformance.dynamic.careless import add_careless, add_coded, add_endless, add_leaner
from tests.support.workshop import Workshop

THIRD_PARTY = Path(__file__).parents[3] / "contracts" / "thirdparty"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """They and some more, installed."""
    folder = tmp_path_factory.mktemp("installed")
    workshop = Workshop(folder)
    workshop.announce("hello", "pegboard_hello.plugin", distribution="pegboard_hello")
    add_careless(workshop)
    add_leaner(workshop)
    add_endless(workshop)
    add_coded(workshop)
    path = [str(folder), str(THIRD_PARTY)]
    sys.path[:0] = path
    yield workshop
    for entry in path:
        sys.path.remove(entry)


@pytest.fixture(scope="module")
async def hello(workshop: Workshop) -> AsyncIterator[Subject]:
    """The third party's plugin."""
    async with open_subject("hello") as subject:
        yield subject


@pytest.fixture(scope="module")
async def careless(workshop: Workshop) -> AsyncIterator[Subject]:
    """The careless plugin, and who leans on it."""
    async with open_subject("careless", also=("leaner",)) as subject:
        yield subject
