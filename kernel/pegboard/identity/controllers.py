"""The routes of identity: /auth, /admin/accounts and the published keys."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from pegboard_sdk.errors import InvalidCursor, InvalidInput, NotFound, Unauthorized, Unavailable
from pegboard_sdk.http import Controller, Request, Response, delete, get, post, put
from pegboard_sdk.pagination import Cursor, Limit, Page
from pegboard_sdk.settings import Secret

from pegboard.authorization.errors import DutiesSegregated, NotHeld
from pegboard.factors.errors import LockedOut
from pegboard.identity.accounts import AccountService
from pegboard.identity.credential_controllers import CredentialController
from pegboard.identity.credentials import EMAIL_MAX
from pegboard.identity.errors import (
    AccountDisabled,
    BadCredentials,
    CsrfRefused,
    EmailNotVerified,
    EmailTaken,
    LastOfRole,
    OperatorOnly,
    RefreshTokenInvalid,
    RefreshTokenReused,
    RegistrationClosed,
    SessionEnded,
)
from pegboard.identity.keys import JsonWebKeySet
from pegboard.identity.log_in import LogInService
from pegboard.identity.permissions import (
    ACCOUNT_DISABLE,
    ACCOUNT_LIST,
    ROLE_GRANT,
    SELF_READ,
    SESSION_END,
    SESSION_END_ANY,
)
from pegboard.identity.registration import RegistrationService
from pegboard.identity.schemas import (
    Account,
    BrowserSession,
    Challenge,
    LogIn,
    RefreshRequest,
    Register,
    Registered,
    Roles,
    StatusChange,
    TokenPair,
)
from pegboard.identity.session_controllers import SessionController
from pegboard.identity.sessions import SessionService
from pegboard.identity.signed_in import logged_out, refresh_cookie, require_own_page, signed_in
from pegboard.web.devices import device_of
from pegboard.work import SteppedWork, Work

__all__ = ("CONTROLLERS", "AccountController", "AuthController", "JwksController")

EmailFilter = Annotated[
    str | None, QueryParameter(name="email", max_length=EMAIL_MAX, description="Only the account with this address.")
]


class AuthController(Controller):
    """Registering, logging in and staying logged in."""

    path = "/auth"

    @post(
        "/register",
        public=True,
        external=True,
        idempotency="none",
        guessable=True,
        errors=(RegistrationClosed, EmailTaken, InvalidInput, Unavailable),
        also={202: "A message was sent to the address: go on as it says."},
    )
    async def register_account(self, data: Register, uow: SteppedWork) -> Response[Account | Registered]:
        """Register an account, as a member of the marketplace. Then log in: at once, or, where the marketplace asks for
        a proof of the address, with the message that is sent to it.
        """
        made = await RegistrationService(uow.runtime).register(
            uow, email=data.email, password=data.password, display_name=data.display_name
        )
        return Response(made, status_code=202 if isinstance(made, Registered) else 201)

    @post(
        "/login",
        public=True,
        external=True,
        idempotency="none",
        guessable=True,
        status=200,
        errors=(BadCredentials, AccountDisabled, EmailNotVerified, CsrfRefused, LockedOut, Unavailable),
        also={202: "The password is right, and the account needs another factor: answer the challenge."},
    )
    async def log_in(
        self, data: LogIn, request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[TokenPair | BrowserSession | Challenge]:
        """Exchange an e-mail address and a password for tokens, or for the challenge that the account needs besides.

        With `cookies` a browser gets the tokens as cookies that scripts can't read.
        """
        if data.cookies:
            require_own_page(uow, request)
        device = device_of(request)
        if data.device_token is not None:
            device = msgspec.structs.replace(device, token=Secret(data.device_token))
        outcome = await LogInService(uow.runtime).log_in(uow, email=data.email, password=data.password, device=device)
        return signed_in(uow, outcome, cookies=data.cookies)

    @post(
        "/refresh",
        public=True,
        external=True,
        idempotency="none",
        guessable=True,
        status=200,
        errors=(RefreshTokenInvalid, RefreshTokenReused, SessionEnded, CsrfRefused),
    )
    async def refresh_session(
        self, data: RefreshRequest, request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[TokenPair | BrowserSession | Challenge]:
        """Exchange a refresh token for new tokens. Each refresh token is good for one exchange.

        Without one in the body, the one in the browser's cookie is exchanged, and the answer is cookies.
        """
        token, cookies = data.refresh_token, data.refresh_token is None
        if token is None:
            token = refresh_cookie(uow, request)
        session = await SessionService(uow.runtime).refresh(uow, token, device=device_of(request))
        return signed_in(uow, session, cookies=cookies)

    @post("/logout", permission=SESSION_END, idempotency="none", status=204, errors=(Unauthorized,))
    async def log_out(self, request: Request[Any, Any, Any], uow: Work) -> Response[None]:
        """End the session: its tokens are good for nothing any more."""
        await SessionService(uow.runtime).log_out(uow)
        return logged_out(uow, request)

    @get("/me", permission=SELF_READ, errors=(Unauthorized, NotFound))
    async def read_me(self, uow: Work) -> Account:
        """The account that is logged in."""
        return await AccountService(uow.runtime).get(uow, uow.principal.account)


class AccountController(Controller):
    """The marketplace's accounts, for its administrators."""

    path = "/admin/accounts"

    @get(permission=ACCOUNT_LIST, errors=(InvalidCursor,))
    async def list_accounts(
        self, uow: Work, limit: Limit = 20, cursor: Cursor = None, email: EmailFilter = None
    ) -> Page[Account]:
        """The marketplace's accounts, newest first."""
        return await AccountService(uow.runtime).list(uow, limit=limit, cursor=cursor, email=email)

    @put(
        "/{account_id:uuid}/roles",
        permission=ROLE_GRANT,
        fresh=True,
        errors=(NotFound, InvalidInput, OperatorOnly, LastOfRole, NotHeld, DutiesSegregated),
    )
    async def set_account_roles(self, account_id: UUID, data: Roles, uow: Work) -> Account:
        """Give an account exactly these roles. When one is taken away, the account has to log in again."""
        return await AccountService(uow.runtime).set_roles(uow, account_id, data.roles)

    @put(
        "/{account_id:uuid}/status",
        permission=ACCOUNT_DISABLE,
        fresh=True,
        errors=(NotFound, OperatorOnly, LastOfRole, NotHeld),
    )
    async def set_account_status(self, account_id: UUID, data: StatusChange, uow: Work) -> Account:
        """Disable an account, which logs it out everywhere, or let it log in again."""
        return await AccountService(uow.runtime).set_status(uow, account_id, data.status)

    @delete("/{account_id:uuid}/sessions", permission=SESSION_END_ANY, errors=(NotFound, OperatorOnly, NotHeld))
    async def end_account_sessions(self, account_id: UUID, uow: Work) -> None:
        """Log an account out everywhere. It can log in again; disabling it prevents that."""
        await AccountService(uow.runtime).log_out(uow, account_id)


class JwksController(Controller):
    """Where other programs find the keys that verify our access tokens. Mounted at the root."""

    path = "/.well-known"

    @get("/jwks.json", public=True)
    async def read_signing_keys(self, uow: Work) -> Response[JsonWebKeySet]:
        """The public keys of access tokens, as a JSON Web Key Set."""
        keys = uow.runtime.authenticator.keys.published()
        return Response(keys, status_code=200, headers={"Cache-Control": "public, max-age=300"})


CONTROLLERS = (AuthController, SessionController, CredentialController, AccountController)
