"""All that the database keeps sealed for longer than a day; what is kept shorter ages out under an earlier key."""

from pegboard.factors.repository import RECOVERY_CODES, TOTP_SEEDS
from pegboard.identity.keys import SIGNING_KEYS
from pegboard.machines.verification import CREDENTIALS
from pegboard.vault.resealing import Envelopes
from pegboard.vault.store import SECRETS

__all__ = ("ENVELOPES",)

ENVELOPES: tuple[Envelopes, ...] = (SIGNING_KEYS, SECRETS, CREDENTIALS, TOTP_SEEDS, RECOVERY_CODES)
