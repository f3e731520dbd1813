"""The marketplace that a letter comes from."""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("Market", "market_of")


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """Its `name`, and the `link` of `mail.link` for it, in which a kind and a token are still to be put; or empty."""

    name: str
    link: str = ""


async def market_of(work: "Work") -> Market:
    """The marketplace of the work's tenant."""
    row = await work.fetchrow("SELECT name, slug FROM kernel_tenants WHERE id = $1", work.tenant_id)
    return Market(name=row["name"], link=work.runtime.config.mail.link.replace("{tenant}", row["slug"]))
