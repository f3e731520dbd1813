"""What a provider has proven."""

import msgspec

__all__ = ("Proof",)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Who somebody is elsewhere: `issuer` and `subject`. `email` is normal (`credentials.normal_email`) and only there
    where the provider says that it has checked it. `groups` are the values of the claim that gives roles; `methods`
    (`amr`, RFC 8176's names) and `level` (`acr`, the provider's own names) are how the provider knew them.
    """

    issuer: str
    subject: str
    email: str | None = None
    name: str = ""
    groups: list[str] = []
    methods: list[str] = []
    level: str = ""
