"""Settings: `[plugins.hello]` in plugins.toml, or PEGBOARD_HELLO__<FIELD>."""

import msgspec

__all__ = ("Settings",)


class Settings(msgspec.Struct, frozen=True):
    """`congratulation` is what whoever publishes a gig is told."""

    congratulation: str = "Congratulations on your new gig!"
