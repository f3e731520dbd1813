"""What operators do before and after they work on the platform."""

import httpx

from tests.contracts.acts.site import Acts, Site

__all__ = ("ACTS",)

MAINTENANCE = "/api/v1/admin/maintenance"


async def begin_maintenance(site: Site) -> httpx.Response:
    client = (await site.operator()).client
    answer = await client.put(MAINTENANCE, json={"message": "Back soon."})
    await client.delete(MAINTENANCE)
    return answer


async def end_maintenance(site: Site) -> httpx.Response:
    client = (await site.operator()).client
    await client.put(MAINTENANCE, json={})
    return await client.delete(MAINTENANCE)


ACTS: Acts = {
    f"PUT {MAINTENANCE}": begin_maintenance,
    f"DELETE {MAINTENANCE}": end_maintenance,
}
