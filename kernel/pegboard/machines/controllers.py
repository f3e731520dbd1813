"""The routes of API keys, service accounts and their credentials."""

from uuid import UUID

from pegboard_sdk.errors import Conflict, InvalidCursor, InvalidInput, NotFound, Unauthorized
from pegboard_sdk.http import Controller, FromPath, Response, delete, get, post
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard.authorization.errors import DutiesSegregated, NotHeld
from pegboard.identity.errors import OperatorOnly, StepUpRequired
from pegboard.identity.signed_in import NO_STORE
from pegboard.machines.errors import (
    CredentialEnded,
    PublicKeyTaken,
    ScopeNotHeld,
    ServiceNameTaken,
    TooManyCredentials,
)
from pegboard.machines.permissions import (
    API_KEY_CREATE,
    API_KEY_LIST,
    API_KEY_REVOKE,
    API_KEY_ROTATE,
    CREDENTIAL_CREATE,
    CREDENTIAL_REVOKE,
    SERVICE_ACCOUNT_CREATE,
    SERVICE_ACCOUNT_LIST,
)
from pegboard.machines.schemas import (
    Credential,
    NewApiKey,
    NewCredential,
    NewServiceAccount,
    Rotation,
    ServiceAccount,
    ShownCredential,
)
from pegboard.machines.service import CredentialService, ServiceAccountService
from pegboard.work import Work

__all__ = ("CONTROLLERS", "ApiKeyController", "CredentialController", "ServiceAccountController")

_MAKING = (NotFound, InvalidInput, ScopeNotHeld, NotHeld, TooManyCredentials, Conflict)


class ApiKeyController(Controller):
    """API keys that act for who made them, with no more than the scopes that they were given."""

    path = "/auth/api-keys"

    @get(permission=API_KEY_LIST, errors=(Unauthorized, InvalidCursor))
    async def list_api_keys(self, uow: Work, limit: Limit = 20, cursor: Cursor = None) -> Page[Credential]:
        """The account's API keys, newest first, without their secrets."""
        service = CredentialService(uow, action=API_KEY_LIST)
        return await service.list(uow.principal.account, limit=limit, cursor=cursor, kind="api_key")

    @post(permission=API_KEY_CREATE, fresh=True, errors=(Unauthorized, *_MAKING))
    async def create_api_key(self, data: NewApiKey, uow: Work) -> Response[ShownCredential]:
        """Make an API key. Its secret is in this answer and nowhere else: send it as `Authorization: Bearer pb_…`."""
        service = CredentialService(uow, action=API_KEY_CREATE)
        made = await service.create(uow.principal.account, data, service=False)
        return Response(made, status_code=201, headers=NO_STORE)

    @post(
        "/{key_id:uuid}/rotate",
        permission=API_KEY_ROTATE,
        errors=(Unauthorized, StepUpRequired, NotFound, CredentialEnded, Conflict),
    )
    async def rotate_api_key(self, key_id: UUID, data: Rotation, uow: Work) -> Response[ShownCredential]:
        """Replace an API key by another with the same scopes. A key that has this scope can replace itself; whoever
        replaces another must have proved lately who they are.
        """
        if key_id != uow.principal.session_id:
            # Else a key could make itself one with the scopes of another.
            uow.runtime.authenticator.require_fresh(uow.principal)
        service = CredentialService(uow, action=API_KEY_ROTATE)
        made = await service.rotate(uow.principal.account, key_id, overlap=data.overlap)
        return Response(made, status_code=201, headers=NO_STORE)

    @delete("/{key_id:uuid}", permission=API_KEY_REVOKE, errors=(Unauthorized, NotFound))
    async def revoke_api_key(self, key_id: UUID, uow: Work) -> None:
        """End an API key: writes with it are refused at once, reads within a second."""
        await CredentialService(uow, action=API_KEY_REVOKE).revoke(uow.principal.account, key_id)


class ServiceAccountController(Controller):
    """Accounts of programs. Their roles and status change as those of all accounts: `/admin/accounts/{id}/roles`."""

    path = "/admin/service-accounts"

    @get(permission=SERVICE_ACCOUNT_LIST, errors=(InvalidCursor,))
    async def list_service_accounts(self, uow: Work, limit: Limit = 20, cursor: Cursor = None) -> Page[ServiceAccount]:
        """The marketplace's service accounts, newest first."""
        return await ServiceAccountService(uow).list(limit=limit, cursor=cursor)

    @post(
        permission=SERVICE_ACCOUNT_CREATE,
        fresh=True,
        errors=(ServiceNameTaken, InvalidInput, OperatorOnly, NotHeld, DutiesSegregated),
    )
    async def create_service_account(self, data: NewServiceAccount, uow: Work) -> ServiceAccount:
        """Make a service account. Nobody logs in to it: it works with API keys, or as an OAuth client."""
        return await ServiceAccountService(uow).create(data)

    @post("/{account_id:uuid}/credentials", permission=CREDENTIAL_CREATE, fresh=True, errors=(*_MAKING, PublicKeyTaken))
    async def create_credential(self, account_id: UUID, data: NewCredential, uow: Work) -> Response[ShownCredential]:
        """Make an API key of a service account, or a secret or public key for it as an OAuth client."""
        made = await CredentialService(uow, action=CREDENTIAL_CREATE).create(account_id, data, service=True)
        return Response(made, status_code=201, headers=NO_STORE)

    @post(
        "/{account_id:uuid}/credentials/{credential_id:uuid}/rotate",
        permission=CREDENTIAL_CREATE,
        fresh=True,
        errors=(NotFound, NotHeld, CredentialEnded, Conflict),
    )
    async def rotate_credential(
        self, account_id: UUID, credential_id: UUID, data: Rotation, uow: Work
    ) -> Response[ShownCredential]:
        """Replace an API key or a client's secret by another with the same scopes."""
        service = CredentialService(uow, action=CREDENTIAL_CREATE)
        made = await service.rotate(account_id, credential_id, overlap=data.overlap, service=True)
        return Response(made, status_code=201, headers=NO_STORE)


class CredentialController(Controller):
    """The credentials of any account, for the marketplace's administrators."""

    path = "/admin/accounts/{account_id:uuid}/credentials"

    @get(permission=SERVICE_ACCOUNT_LIST, errors=(InvalidCursor,))
    async def list_credentials(
        self, account_id: FromPath[UUID], uow: Work, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[Credential]:
        """An account's API keys and client credentials, newest first, without their secrets."""
        return await CredentialService(uow, action=SERVICE_ACCOUNT_LIST).list(account_id, limit=limit, cursor=cursor)

    @delete("/{credential_id:uuid}", permission=CREDENTIAL_REVOKE, errors=(NotFound,))
    async def revoke_credential(self, account_id: FromPath[UUID], credential_id: UUID, uow: Work) -> None:
        """End an API key or a client's credential, and the tokens that were given for it."""
        await CredentialService(uow, action=CREDENTIAL_REVOKE).revoke(account_id, credential_id)


CONTROLLERS = (ApiKeyController, ServiceAccountController, CredentialController)
