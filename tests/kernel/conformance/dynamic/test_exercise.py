"""Values that fit any type, and work that never ends."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta
from pegboard.conformance.dynamic.exercise import deliver, settle
from pegboard.conformance.dynamic.loop import check_routes_answer
from pegboard.conformance.dynamic.payloads import Unbuildable, build
from pegboard.conformance.dynamic.tenancy import check_everything_tried, check_tables_keep_tenants_apart
from pegboard.conformance.subject import open_subject
from pegboard_sdk.money import Money

from tests.support.workshop import Workshop

ROW = UUID(int=1)


class Colour(Enum):
    """An enumeration."""

    RED = "red"


class Inner(msgspec.Struct, tag="inner", frozen=True):
    """Told by its tag."""

    at: datetime


class Other(msgspec.Struct, tag="other", frozen=True):
    """Told by its tag too."""

    text: str


class Everything(msgspec.Struct, frozen=True, kw_only=True):
    """Whatever payloads and bodies have."""

    note_id: UUID
    title: Annotated[str, Meta(min_length=10, max_length=40)]
    slug: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
    count: Annotated[int, Meta(ge=5, le=7)]
    share: Annotated[float, Meta(gt=0, lt=1.5)]
    colour: Colour
    kind: Literal["b", "a"]
    choice: Inner | Other
    maybe: UUID | None
    money: Money
    pair: tuple[int, str]
    some: Annotated[list[Inner], Meta(min_length=2)]
    labels: dict[str, str]
    left_out: str = "as it is"


def test_what_is_built_fits_and_is_the_same_each_time() -> None:
    built = build(Everything, lambda _: ROW)
    value = msgspec.convert(built, Everything)

    assert (value.note_id, value.maybe, value.left_out) == (ROW, ROW, "as it is")
    assert "left_out" not in built
    assert build(Everything, lambda _: ROW) == built


@pytest.mark.parametrize("type", [Annotated[str, Meta(pattern="^zyx[0-9]{7}$")], Annotated[int, Meta(gt=3, lt=4)]])
def test_what_can_not_be_built_is_said(type: Any) -> None:
    with pytest.raises(Unbuildable, match="code"):
        build(type, lambda _: ROW, name="code")


async def test_rows_and_bodies_that_nobody_makes_up_may_be_offered(workshop: Workshop) -> None:
    async with open_subject("coded") as subject:
        assert await check_everything_tried(subject) == []
        assert await check_tables_keep_tenants_apart(subject) == []
        assert await check_routes_answer(subject) == []


async def test_work_that_starts_itself_again_is_ended_and_thrown_away(workshop: Workshop) -> None:
    async with open_subject("endless") as subject:
        tenant = await subject.kernel.tenant()

        told = await deliver(subject, tenant, "endless.rung/ring", b"{}", patience=1.0)

        assert told == "does not end, or what it starts does not, within 1 s"
        assert await settle(subject, tenant)
