"""What is known of providers that many use, so that their settings are a client's id and secret."""

import msgspec

from pegboard.config.sso import Preset, ProviderSettings

__all__ = ("PRESETS", "PresetFacts", "facts_of", "issuer_of", "label_of", "scopes_of")


class PresetFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`posts_secret`: it takes the client's secret in the body only, whatever it says. `posts_answer`: it sends the
    browser back by a form. `returns_nonce`: it puts the nonce into its ID tokens.
    """

    label: str
    issuer: str = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    posts_secret: bool = False
    posts_answer: bool = False
    returns_nonce: bool = True


PRESETS: dict[Preset, PresetFacts] = {
    "oidc": PresetFacts(label="Single sign-on"),
    "google": PresetFacts(label="Google", issuer="https://accounts.google.com", posts_secret=True),
    # Its ID tokens have no nonce (learn.microsoft.com, "Sign in with LinkedIn using OpenID Connect").
    "linkedin": PresetFacts(
        label="LinkedIn", issuer="https://www.linkedin.com/oauth", posts_secret=True, returns_nonce=False
    ),
    # With a name or an address asked for it answers by form_post only (developer.apple.com, "Incorporating Sign in
    # with Apple into other platforms").
    "apple": PresetFacts(
        label="Apple",
        issuer="https://appleid.apple.com",
        scopes=("openid", "name", "email"),
        posts_secret=True,
        posts_answer=True,
    ),
    "github": PresetFacts(label="GitHub", issuer="https://github.com", scopes=("read:user", "user:email")),
}


def facts_of(settings: ProviderSettings) -> PresetFacts:
    """What is known of the provider."""
    return PRESETS[settings.preset]


def issuer_of(settings: ProviderSettings) -> str:
    """Who says who somebody is: identities are kept under it."""
    return settings.issuer or facts_of(settings).issuer


def label_of(settings: ProviderSettings) -> str:
    """What a button says."""
    return settings.label or facts_of(settings).label


def scopes_of(settings: ProviderSettings) -> str:
    """What is asked for."""
    return " ".join(settings.scopes or facts_of(settings).scopes)
