"""The routes of the keys that sign access tokens, for the platform's operators."""

from pegboard_sdk.http import Controller, get, post

from pegboard.identity.key_rotation import KeyRotation, NextKeyPublished, SigningKeyList, SigningKeyService
from pegboard.machines.permissions import SIGNING_KEY_LIST, SIGNING_KEY_ROTATE
from pegboard.work import SteppedWork, Work

__all__ = ("SigningKeyController",)


class SigningKeyController(Controller):
    """Which keys sign access tokens, have signed, or will."""

    path = "/admin/signing-keys"

    @get(permission=SIGNING_KEY_LIST)
    async def list_signing_keys(self, uow: Work) -> SigningKeyList:
        """All keys, the newest first."""
        return await SigningKeyService(uow.runtime).list()

    # The keys are no tenant's, so not in the unit of work's transaction.
    @post(permission=SIGNING_KEY_ROTATE, fresh=True, external=True, errors=(NextKeyPublished,))
    async def rotate_signing_keys(self, data: KeyRotation, uow: SteppedWork) -> SigningKeyList:
        """Replace the key that signs access tokens. The next one is published before it signs; nobody is logged out."""
        return await SigningKeyService(uow.runtime).rotate(
            actor=uow.principal, request_id=uow.request_id, after=data.after, compromised=data.compromised
        )
