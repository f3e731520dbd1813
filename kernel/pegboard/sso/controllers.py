"""The routes of single sign-on."""

from typing import Annotated, Any
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
from litestar.params import PathParameter, QueryParameter
from pegboard_sdk.errors import NotFound, Unauthorized
from pegboard_sdk.http import Controller, Request, Response, delete, get, post
from pegboard_sdk.settings import Secret

from pegboard.config.sso import PROVIDER_NAME
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.errors import AccountDisabled, CsrfRefused, EmailNotVerified, RegistrationClosed
from pegboard.identity.schemas import BrowserSession, Challenge, TokenPair
from pegboard.identity.signed_in import NO_STORE, require_own_page, signed_in
from pegboard.sso.administered_controllers import ProviderController
from pegboard.sso.arrivals import Answer, arrive
from pegboard.sso.callback import callback_url
from pegboard.sso.cookies import SsoCookie
from pegboard.sso.departures import depart
from pegboard.sso.errors import (
    EmailNotProven,
    IdentityTaken,
    LastWayIn,
    LinkRequired,
    NotProvisioned,
    ProviderAnswerInvalid,
    ProviderRefused,
    ProviderUnknown,
    ReturnNotAllowed,
    SsoCodeInvalid,
    SsoRequired,
    SsoStateInvalid,
)
from pegboard.sso.identities import IdentityService
from pegboard.sso.permissions import IDENTITY_LINK, IDENTITY_LIST, IDENTITY_UNLINK
from pegboard.sso.presets import label_of
from pegboard.sso.providers import Providers
from pegboard.sso.schemas import (
    Code,
    Identities,
    LinkCode,
    ListedProvider,
    ListedProviders,
    ProviderStart,
    Started,
)
from pegboard.sso.sign_ins import SignInService
from pegboard.sso.state import tenant_of_state
from pegboard.web.devices import device_of
from pegboard.work import SteppedWork, Work

__all__ = ("CONTROLLERS", "IdentityController", "SsoController")

Name = Annotated[str, PathParameter(pattern=PROVIDER_NAME, description="The provider's name.")]
Domain = Annotated[
    str | None,
    QueryParameter(max_length=253, description="What stands behind the @ of an address: only its providers."),
]
_VISIBLE = r"^[\x20-\x7e]*$"
"""What RFC 6749 (appendix A) has in such parameters."""

State = Annotated[
    str,
    QueryParameter(
        name="state",
        max_length=512,
        pattern=_VISIBLE,
        description="What the way to the provider was begun with; the provider sends it back.",
    ),
]
AnswerCode = Annotated[
    str,
    QueryParameter(
        name="code", max_length=2048, pattern=_VISIBLE, description="What the provider gives for its tokens."
    ),
]
AnswerError = Annotated[
    str,
    QueryParameter(
        name="error", max_length=200, pattern=_VISIBLE, description="Why the provider gives none (RFC 6749, 4.1.2.1)."
    ),
]
AnswerIssuer = Annotated[
    str | None,
    QueryParameter(name="iss", max_length=500, pattern=_VISIBLE, description="Which provider answers (RFC 9207)."),
]
MAX_FORM = 65_536


class SsoController(Controller):
    """Logging in by an identity provider."""

    path = "/auth/providers"

    @get(public=True)
    async def list_providers(self, uow: Work, domain: Domain = None) -> ListedProviders:
        """The ways to log in besides a password. With `domain`, those that the domain's addresses belong to, or, where
        it belongs to none, those that are for everybody.
        """
        providers = await Providers(uow.runtime).settings(uow)
        wanted = (domain or "").lower()
        home = {name for name, settings in providers.items() if wanted and wanted in settings.domains}
        return ListedProviders(
            items=[
                ListedProvider(
                    name=name,
                    label=label_of(settings),
                    preset=settings.preset,
                    required=name in home and settings.require,
                )
                for name, settings in providers.items()
                if name in home or not (home or (wanted and settings.domains))
            ]
        )

    @post(
        "/{name:str}/start",
        public=True,
        external=True,
        idempotency="none",
        guessable=True,
        status=200,
        errors=(ProviderUnknown, ReturnNotAllowed, ProviderAnswerInvalid, CsrfRefused),
    )
    async def start_provider_log_in(
        self, name: Name, data: ProviderStart, request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[Started]:
        """Begin a log-in: send the browser to the address in the answer. It comes back to `return_to` with a `code`,
        which is exchanged at `/auth/providers/exchange`, or with an `error`, which is a problem's code.
        """
        return await _start(name, data, request, uow, link=False)

    @get(
        "/{name:str}/callback",
        public=True,
        external=True,
        status=303,
        errors=(SsoStateInvalid, ProviderRefused, ProviderAnswerInvalid),
    )
    async def receive_provider_answer(
        self,
        name: Name,
        request: Request[Any, Any, Any],
        uow: SteppedWork,
        sent_state: State = "",
        code: AnswerCode = "",
        error: AnswerError = "",
        iss: AnswerIssuer = None,
    ) -> Response[None]:
        """Where the provider sends the browser back to. It goes on to the log-in's `return_to`, with a problem's code
        as `error` where it comes to nothing.
        """
        answer = Answer(
            state=sent_state,
            code=code,
            error=error,
            issuer=iss,
            browser=SsoCookie(uow.runtime).read(request),
        )
        return await _arrive(name, answer, uow)

    @post(
        "/{name:str}/callback",
        public=True,
        external=True,
        idempotency="none",
        status=303,
        max_body=MAX_FORM,
        errors=(SsoStateInvalid, ProviderRefused, ProviderAnswerInvalid),
    )
    async def receive_provider_form(
        self, name: Name, request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[None]:
        """As by GET, for providers whose answer is a form (Apple's)."""
        body = (await request.body()).decode("utf-8", "replace")
        form = {key: values[0] for key, values in parse_qs(body, max_num_fields=20).items()}
        answer = Answer(
            state=form.get("state", ""),
            code=form.get("code", ""),
            error=form.get("error", ""),
            issuer=form.get("iss"),
            browser=SsoCookie(uow.runtime).read(request),
            name=_apple_name(form.get("user", "")),
        )
        return await _arrive(name, answer, uow)

    @post(
        "/exchange",
        public=True,
        external=True,
        idempotency="none",
        guessable=True,
        status=200,
        errors=(
            SsoCodeInvalid,
            EmailNotProven,
            NotProvisioned,
            RegistrationClosed,
            SsoRequired,
            AccountDisabled,
            CsrfRefused,
            LinkRequired,
            ProviderUnknown,
        ),
        also={202: "The log-in is right, and the account needs another factor: answer the challenge."},
    )
    async def exchange_provider_code(
        self, data: Code, request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[TokenPair | BrowserSession | Challenge]:
        """Exchange the `code` that came with `return_to` for tokens. It is good once, within a minute, for the browser
        or app that began the log-in.
        """
        if data.cookies:
            require_own_page(uow, request)
        device = device_of(request)
        if data.device_token is not None:
            device = msgspec.structs.replace(device, token=Secret(data.device_token))
        outcome = await SignInService(uow.runtime).exchange(
            uow,
            code=data.code,
            verifier=data.code_verifier,
            browser=SsoCookie(uow.runtime).read(request),
            device=device,
        )
        return signed_in(uow, outcome, cookies=data.cookies)


class IdentityController(Controller):
    """The log-ins elsewhere that one's account is linked to."""

    path = "/auth/identities"

    @get(permission=IDENTITY_LIST, errors=(Unauthorized,))
    async def list_identities(self, uow: Work) -> Identities:
        """The account's links, oldest first."""
        return await IdentityService(uow.runtime).list(uow)

    @post(
        "/{name:str}/start",
        permission=IDENTITY_LINK,
        fresh=True,
        external=True,
        idempotency="none",
        guessable=True,
        status=200,
        errors=(Unauthorized, ProviderUnknown, ReturnNotAllowed, ProviderAnswerInvalid),
    )
    async def start_identity_link(
        self, name: Name, data: ProviderStart, request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[Started]:
        """Begin to link the account to a log-in elsewhere; the `code` that comes of it goes to `/auth/identities`."""
        return await _start(name, data, request, uow, link=True)

    @post(
        permission=IDENTITY_LINK,
        fresh=True,
        idempotency="none",
        guessable=True,
        errors=(Unauthorized, SsoCodeInvalid, EmailNotVerified, IdentityTaken),
    )
    async def link_identity(self, data: LinkCode, request: Request[Any, Any, Any], uow: Work) -> Identities:
        """Link the account to the log-in elsewhere that the `code` proves: of a link that this session began, or of a
        log-in that was refused (`sso.link_required`) because this account has its address.
        """
        return await IdentityService(uow.runtime).link(
            uow, code=data.code, verifier=data.code_verifier, browser=SsoCookie(uow.runtime).read(request)
        )

    @delete("/{identity_id:uuid}", permission=IDENTITY_UNLINK, fresh=True, errors=(Unauthorized, NotFound, LastWayIn))
    async def unlink_identity(self, identity_id: UUID, uow: Work) -> None:
        """Remove a link. The last way in to an account stays."""
        await IdentityService(uow.runtime).unlink(uow, identity_id)


async def _start(
    name: str, data: ProviderStart, request: Request[Any, Any, Any], uow: SteppedWork, *, link: bool
) -> Response[Started]:
    cookie = SsoCookie(uow.runtime)
    if data.code_challenge is None:
        require_own_page(uow, request)
    departure = await depart(
        uow,
        name,
        return_to=data.return_to,
        code_challenge=data.code_challenge,
        browser=cookie.read(request),
        callback=callback_url(uow.runtime, request, name),
        link=link,
    )
    response = Response(
        Started(authorization_url=departure.authorization_url, expires_in=departure.expires_in),
        status_code=200,
        headers=NO_STORE,
    )
    if departure.browser is not None:
        cookie.put(response, departure.browser, cross_site=departure.cross_site)
    return response


async def _arrive(name: str, answer: Answer, uow: SteppedWork) -> Response[None]:
    tenant = tenant_of_state(answer.state)
    if uow.tenant_id not in (tenant, DEFAULT_TENANT):
        raise SsoStateInvalid  # the host name is another marketplace's
    anonymous = uow.runtime.authenticator.anonymous(tenant, uow.registry)
    of_tenant = SteppedWork(uow.runtime, uow.registry, anonymous, uow.request_id)
    address = await arrive(of_tenant, name, answer)
    return Response(None, status_code=303, headers={**NO_STORE, "Location": address})


class _AppleName(msgspec.Struct):
    firstName: str = ""  # noqa: N815  # Apple's
    lastName: str = ""  # noqa: N815  # Apple's


class _AppleUser(msgspec.Struct):
    name: _AppleName = msgspec.field(default_factory=_AppleName)


def _apple_name(user: str) -> str:
    """What Apple calls somebody, the first time. Nobody has signed it, so it is no more than a name."""
    if not user:
        return ""
    try:
        name = msgspec.json.decode(user, type=_AppleUser).name
    except msgspec.DecodeError:
        return ""
    return f"{name.firstName} {name.lastName}".strip()


CONTROLLERS = (SsoController, IdentityController, ProviderController)
