"""What does not get into the audit trail: secrets and personal data. Entries can't be changed: it would stay for ever.

An entry tells *that* somebody's address changed and not what it was. A field counts by the end of its name (`email`,
`contact_email` and `contactEmail`, but not `email_verified_at`), whatever is below it too; a plugin may declare more of
its own. Numbers, times and the like are left as they are, but for those of secret and declared fields.
"""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from pegboard_sdk.settings import Secret

__all__ = ("PERSONAL", "SECRET", "redacted_fields", "redacted_text")

SECRET = "***"  # noqa: S105  # what stands for one
PERSONAL = "[personal]"

_SECRET_NAMES = re.compile(
    r"(^|_)(pass(word|wd|phrase|code)s?|passwords?_hash|secrets?|token|tokens_hash|token_hash|authorization|cookies?"
    r"|credentials?|otp|totp|pin|(api|private|secret|master|signing|access|session)_?keys?"
    r"|(recovery|backup|verification|access|one_time)_codes?|signature)$"
)
_PERSONAL_NAMES = re.compile(
    r"(^|_)(e?_?mails?|e?_?mail_address(es)?|address(es)?|street|post_?code|zip_?code"
    r"|((first|last|full|display|given|family|middle|maiden|legal|real|user|holder|recipient|contact|person)_?name)"
    r"|nickname|surname|phones?|phone_number|telephone|telephone_number|mobile|mobile_number|fax|msisdn"
    r"|ip|ips|ip_address(es)?|user_agent|birth_?day|birth_?date|date_of_birth|iban|card_number|passport_number"
    r"|tax_id|national_id)$"
)
_PEOPLE = frozenset({"account", "contact", "customer", "invitation", "member", "person", "profile", "user"})
"""Kinds of objects whose plain `name` is a person's."""
_E_MAIL = re.compile(r"[^\s@<>\"',;:/\\()\[\]]+@[^\s@<>\"',;:/\\()\[\]]+\.[^\s@<>\"',;:/\\()\[\]]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[^a-z0-9]+")


def redacted_fields(
    fields: Mapping[str, Any] | None, *, object_type: str = "", personal: Collection[str] = ()
) -> str | None:
    """`before` or `after` as JSON, without what must not be in it. `personal` are further names of fields.

    Raises:
        TypeError: a value has no meaning in JSON.
    """
    if fields is None:
        return None
    names = frozenset(map(_normal, personal))
    if object_type in _PEOPLE:
        names |= {"name"}
    plain = msgspec.to_builtins(fields, enc_hook=_hide, str_keys=True)
    return msgspec.json.encode(_object(plain, names)).decode()


def redacted_text(text: str | None) -> str | None:
    """A text without the e-mail addresses in it."""
    return text if text is None or "@" not in text else _E_MAIL.sub(PERSONAL, text)


def _object(fields: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    redacted: dict[str, Any] = {}
    for name, value in fields.items():
        normal = _normal(name)
        if _is_secret(normal):
            redacted[name] = _covered(value, SECRET, numbers=True)
        elif normal in names:
            redacted[name] = _covered(value, PERSONAL, numbers=True)
        elif _is_personal(normal):
            redacted[name] = _covered(value, PERSONAL, numbers=False)
        else:
            redacted[name] = _value(value, names)
    return redacted


def _value(value: Any, names: frozenset[str]) -> Any:
    match value:
        case str():
            return redacted_text(value)
        case dict():
            return _object(value, names)
        case list():
            return [_value(item, names) for item in value]
        case _:
            return value


def _covered(value: Any, cover: str, *, numbers: bool) -> Any:
    """Nothing and yes or no say nothing about anybody, and whether a field was set is worth knowing."""
    match value:
        case None | bool():
            return value
        case dict():
            return {name: _covered(item, cover, numbers=numbers) for name, item in value.items()}
        case list():
            return [_covered(item, cover, numbers=numbers) for item in value]
        case int() | float():
            return cover if numbers else value
        case _:
            return cover


@lru_cache(4096)
def _normal(name: str) -> str:
    return _SEPARATORS.sub("_", _CAMEL.sub("_", name).lower()).strip("_")


@lru_cache(4096)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


@lru_cache(4096)
def _is_personal(name: str) -> bool:
    return _PERSONAL_NAMES.search(name) is not None


def _hide(value: Any) -> str:
    if isinstance(value, Secret):
        return SECRET
    raise TypeError(f"an audit entry can't hold a {type(value).__qualname__}")
