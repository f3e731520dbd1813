"""Which provider an e-mail domain belongs to, and where it is the only way in.

Signing in asks this, so nothing of signing in may be imported here.
"""

from typing import TYPE_CHECKING
from uuid import UUID

from pegboard.identity.repository import IdentityRepository
from pegboard.sso.errors import SsoRequired
from pegboard.sso.providers import Providers, domain_of

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("FEDERATED", "refuse_registration", "require_realm", "required_provider")

FEDERATED = "fed"
"""How a session's owner was proven: by somebody else. RFC 8176 has no name for it; this is the usual one."""

_EXEMPT = "operator"


async def required_provider(work: "Work", domain: str) -> str | None:
    """The provider that is the only way in for a domain, if one is."""
    for name, settings in (await Providers(work.runtime).settings(work)).items():
        if settings.require and domain in settings.domains:
            return name
    return None


async def require_realm(work: "Work", account_id: UUID, email: str, *, by: str | None) -> None:
    """Refuse an account that came in by another way (`by` names a provider; None: a password or the like) than its
    address's domain must. Operators always have a second way in: they mend what is wrong with the first.

    Raises:
        SsoRequired: it names the provider.
    """
    required = await required_provider(work, domain_of(email))
    if required is None or required == by:
        return
    if _EXEMPT not in await IdentityRepository(work).roles(account_id):
        raise SsoRequired(required)


async def refuse_registration(work: "Work", email: str) -> None:
    """Refuse to register an address by password whose domain must come by a provider: nobody is to sit on it.

    Raises:
        SsoRequired: it names the provider.
    """
    required = await required_provider(work, domain_of(email))
    if required is not None:
        raise SsoRequired(required)
