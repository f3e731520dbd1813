"""How deep JSON may nest: as deep as the decoder goes, and it must not end the process that goes too deep."""

import msgspec
import pytest


@pytest.mark.parametrize("text", [b"[", b'{"a":', b'[{"a":'])
def test_the_decoder_gives_up_instead_of_falling(text: bytes):
    with pytest.raises(RecursionError):
        msgspec.json.decode(text * 500_000)


def test_what_people_send_is_not_too_deep():
    assert msgspec.json.decode(b"[" * 200 + b"]" * 200)
