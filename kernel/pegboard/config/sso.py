"""The shape of `[pegboard.sso.<name>]`: a program elsewhere that says who somebody is."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from pegboard_sdk.settings import Secret

__all__ = ("PROVIDER_NAME", "Preset", "ProviderSettings", "SsoProvider")

Preset = Literal["oidc", "google", "linkedin", "apple", "github"]
PROVIDER_NAME = r"^[a-z][a-z0-9_]{0,39}$"

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_DOMAIN = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$")
_ROLE = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
_SCOPE = re.compile(r"^[\x21\x23-\x5b\x5d-\x7e]+$")  # RFC 6749, 3.3
_NEVER_GIVEN = ("operator", "anonymous")

Text = Annotated[str, msgspec.Meta(max_length=300)]
Texts = Annotated[list[Text], msgspec.Meta(max_length=50)]


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an identity provider is, and what its word counts for.

    `preset` knows the addresses of Google, LinkedIn, Apple and GitHub; `oidc` finds those of any `issuer` by discovery.
    `return_to` are the pages and apps to which a log-in may come back, each as it is. `domains` are the e-mail domains
    that this provider is the home of: with it no others are let in, and with `require` there is no other way in for
    them. In `authoritative_domains` the provider's word that an address is verified is enough to enter the plain
    member's account that has it. `provision` says whose account is made at the first log-in: whoever may register
    (`open`), addresses of `domains`, also where registration is closed (`domains`), or nobody's (`never`). Who comes
    gets `roles`, and those that `role_map` gives for the values of the claim `role_claim`. With `trust_methods` a
    second factor that the provider says it asked for (`amr`) counts here too, and so does a log-in at one of its levels
    `trusted_acr`. `team_id` and `key_id` are Apple's.
    """

    preset: Preset = "oidc"
    enabled: bool = True
    label: Annotated[str, msgspec.Meta(max_length=60)] = ""
    issuer: Text = ""
    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    scopes: Texts = []
    team_id: Text = ""
    key_id: Text = ""
    return_to: Texts = []
    domains: Texts = []
    require: bool = False
    authoritative_domains: Texts = []
    provision: Literal["open", "domains", "never"] = "open"
    roles: Texts = []
    role_claim: Text = "groups"
    role_map: Annotated[dict[Text, Texts], msgspec.Meta(max_length=200)] = {}
    trust_methods: bool = False
    trusted_acr: Texts = []

    def __post_init__(self) -> None:
        if self.preset == "oidc" and not self.issuer:
            raise ValueError("`issuer` is missing: name the provider's issuer, such as https://id.example.com")
        if self.preset == "apple" and not (self.team_id and self.key_id):
            raise ValueError("`team_id` and `key_id` are missing: Apple shows them beside the key")
        if self.issuer:
            _check_issuer(self.issuer)
        for address in self.return_to:
            _check_return(address)
        for domain in (*self.domains, *self.authoritative_domains):
            if not _DOMAIN.fullmatch(domain):
                raise ValueError(f"not a domain in lower case: {domain!r}")
        if (self.require or self.provision == "domains") and not self.domains:
            raise ValueError("`domains` is missing: say for which e-mail domains")
        for role in (*self.roles, *(role for roles in self.role_map.values() for role in roles)):
            if not _ROLE.fullmatch(role) or role in _NEVER_GIVEN:
                raise ValueError(f"not a role that a provider may give: {role!r}")
        for scope in self.scopes:
            if not _SCOPE.fullmatch(scope):
                raise ValueError(f"not a scope: {scope!r}")


class SsoProvider(ProviderSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider of `plugins.toml`: of the default tenant, or of all `tenants`. `client_secret` is what the provider
    gave with `client_id`; for Apple the text of the key file (.p8).
    """

    client_secret: Secret = Secret("")
    tenants: Literal["default", "all"] = "default"


def _check_issuer(issuer: str) -> None:
    url = urlsplit(issuer)
    if not url.hostname or url.query or url.fragment or url.username is not None:
        raise ValueError("`issuer` is an address such as https://id.example.com, without a query")
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
        raise ValueError("`issuer` begins with https://: who listens on the way could be anybody")


def _check_return(address: str) -> None:
    """A page by https, one of this machine, or an app by a scheme of its own (RFC 8252, 7.1: a domain's reverse)."""
    url = urlsplit(address)
    if url.query or url.fragment or url.username is not None or not address.isprintable() or " " in address:
        raise ValueError(f"`return_to` has no query, fragment or user name: {address!r}")
    web = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
    if not (web and url.hostname) and "." not in url.scheme:
        raise ValueError(f"`return_to` is a page by https, or an app such as com.example.app:/done: {address!r}")
