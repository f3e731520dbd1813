"""What a client is told of its rate: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)."""

import msgspec

__all__ = ("Quota",)


class Quota(msgspec.Struct, frozen=True):
    """`limit` requests in `window` seconds by the policy `name`; `left` of them remain, and all of them again in
    `resets_in` seconds.
    """

    name: str
    limit: int
    window: int
    left: int
    resets_in: int

    @property
    def policy(self) -> str:
        """The value of `RateLimit-Policy`."""
        return f'"{self.name}";q={self.limit};w={self.window}'

    @property
    def state(self) -> str:
        """The value of `RateLimit`."""
        return f'"{self.name}";r={self.left};t={self.resets_in}'

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Both, as they are sent."""
        return [(b"ratelimit-policy", self.policy.encode()), (b"ratelimit", self.state.encode())]
