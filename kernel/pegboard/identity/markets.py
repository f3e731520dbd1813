"""The marketplace that a letter comes from."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

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
    row = await work.fetchrow(
        "SELECT name, slug, kernel_canonical_host() AS host FROM kernel_tenants WHERE id = $1", work.tenant_id
    )
    config = work.runtime.config
    link = config.mail.link.replace("{tenant}", row["slug"])
    host = row["host"] or urlsplit(config.http.public_url).netloc
    if "{host}" in link and not host:
        link = ""  # nobody has said where this marketplace is
    return Market(name=row["name"], link=link.replace("{host}", host))
