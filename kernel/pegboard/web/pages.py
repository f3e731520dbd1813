"""The kernel's pages outside of the API: the front page, health, metrics, and the documentation of the API."""

import asyncio
import base64
import hashlib
import html
import importlib.util
import ipaddress
from pathlib import Path
from typing import Annotated, Any

import msgspec
from pegboard_sdk.errors import NotFound
from pegboard_sdk.http import Controller, PathParameter, Request, Response, get

from pegboard import __version__
from pegboard.identity.controllers import JwksController
from pegboard.machines.oauth_controllers import MetadataController
from pegboard.plugins.registry import Registry
from pegboard.telemetry.metrics import CONTENT_TYPE
from pegboard.web.health import SAFE_MODE, Health, PluginHealthPage, check_plugins, check_ready, plugins_left_out
from pegboard.web.openapi import complete_document
from pegboard.work import Work

__all__ = ("ROOT_CONTROLLERS",)

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } p.sub { margin-top: 0; opacity: .75; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #8884; }
.good { color: #18794e; } .bad { color: #c62828; } code { font-size: .95em; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_CSP = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_DOCS_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Pegboard API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css"></head>
<body><main id="docs"></main>
<noscript>This page needs JavaScript; the document itself is <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/assets/swagger-ui-bundle.js"></script><script src="/docs/assets/start.js"></script></body></html>
"""
_DOCS_START = """window.addEventListener("load", () => {
  SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true, tryItOutEnabled: true });
});
"""
AssetName = Annotated[str, PathParameter(description="The file's name.")]
_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


class FrontController(Controller):
    """What a person sees who opens the address."""

    path = "/"

    @get(public=True, media_type="text/html")
    async def read_front_page(self, uow: Work) -> Response[str]:
        """What runs here, whether it is healthy, and where things are."""
        health = await check_ready(uow.runtime)
        return Response(
            _front_page(uow, health), media_type="text/html", headers={"Content-Security-Policy": _PAGE_CSP}
        )


def _front_page(work: Work, health: Health) -> str:
    word = {"ready": "healthy", "degraded": "working, with something down", "unready": "not able to work"}[
        health.status
    ]
    tone = "good" if health.status == "ready" else "bad"
    checks = "".join(
        f"<tr><td>{html.escape(check.name)}</td><td class='{'good' if check.ok else 'bad'}'>"
        f"{html.escape(check.detail or 'answers')}</td></tr>"
        for check in health.checks
    )
    plugins = "".join(
        f"<tr><td><code>/api/v1/{html.escape(plugin.name)}</code></td><td>{html.escape(plugin.manifest.summary)}</td></tr>"
        for plugin in work.registry.plugins
        if plugin.name != "kernel"
    )
    safe = f"<p class='bad'>{SAFE_MODE}</p>" if work.runtime.config.safe_mode else ""
    maintenance = work.runtime.maintenance.now
    waiting = f"<p class='bad'><strong>Maintenance.</strong> {html.escape(maintenance.message)}</p>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Pegboard</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>
<body><h1>Pegboard</h1><p class="sub">A services marketplace, version {__version__}.
It is <strong class="{tone}">{word}</strong>.</p>
{waiting if maintenance.on else ""}{safe}<table>{checks}</table>
<h2>What runs here</h2><table>{plugins or "<tr><td>No plugin is enabled.</td></tr>"}</table>
<h2>Where things are</h2>
<table>
<tr><td><a href="/docs">/docs</a></td><td>The API, to read and try</td></tr>
<tr><td><a href="/openapi.json">/openapi.json</a></td><td>The OpenAPI document, to generate clients from</td></tr>
<tr><td><code>/api/v1/auth/…</code></td><td>Register and log in</td></tr>
<tr><td><code>/api/v1/admin/…</code></td><td>The administrator's routes: plugins, accounts, jobs</td></tr>
<tr><td><a href="/health/ready">/health/ready</a></td><td>Health, for a load balancer</td></tr>
<tr><td><code>/health/plugins</code>, <code>/metrics</code></td><td>For who has the permission</td></tr>
</table></body></html>
"""


class HealthController(Controller):
    """For load balancers and people on call."""

    path = "/health"

    @get("/live", public=True)
    async def read_liveness(self) -> dict[str, str]:
        """The process runs. It says nothing of what it needs: restarting it would not bring PostgreSQL back."""
        return {"status": "live"}

    @get("/ready", public=True)
    async def read_readiness(self, uow: Work) -> Response[Health]:
        """Whether requests can be served now: 200, or 503 where PostgreSQL does not answer."""
        health = await check_ready(uow.runtime)
        return Response(health, status_code=503 if health.status == "unready" else 200)

    @get("/plugins", permission="kernel:health.read")
    async def list_plugin_health(self, uow: Work) -> PluginHealthPage:
        """The plugins that are on with their health checks, then those that should be and are not, with the reason."""
        notice = SAFE_MODE if uow.runtime.config.safe_mode else None
        items = await check_plugins(uow.runtime) + plugins_left_out(uow.runtime)
        return PluginHealthPage(items, notice=notice)


class MetricsController(Controller):
    """For Prometheus."""

    path = "/metrics"

    @get(public=True, media_type="text/plain")
    async def read_metrics(self, uow: Work, request: Request[Any, Any, Any]) -> Response[str]:
        """Prometheus metrics, with the permission `kernel:metrics.read`, or from loopback where `http.internal_metrics`
        is on.
        """
        runtime = uow.runtime
        if not (runtime.config.http.internal_metrics and _is_local(request)):
            uow.principal.require("kernel:metrics.read")
        runtime.metrics.observe_pools(
            (name, pool.get_size(), pool.get_idle_size())
            for name, pool in (("app", runtime.database.app), ("system", runtime.database.system))
        )
        return Response(runtime.metrics.render().decode(), media_type=CONTENT_TYPE)


class DocumentController(Controller):
    """The OpenAPI document of the enabled plugins."""

    path = "/openapi.json"

    @get(public=True)
    async def read_openapi_document(self, uow: Work, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """The contract of this installation, OpenAPI 3.1."""
        state = request.app.state
        if "document" not in state:
            state["document"] = await asyncio.to_thread(openapi_document, request.app, uow.registry)
        return Response(state["document"], headers={"Cache-Control": "no-cache"}, media_type="application/json")  # type: ignore[return-value]  # encoded already


def _is_local(request: Request[Any, Any, Any]) -> bool:
    """Whether a program on this machine asks by itself: what a proxy here passes on comes from loopback too."""
    client = request.client
    forwarded = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    try:
        return client is not None and not forwarded and ipaddress.ip_address(client.host).is_loopback
    except ValueError:
        return False


def openapi_document(app: Any, registry: Registry) -> bytes:
    """Render the document of an application. It takes about as long as building the application does."""
    from pegboard.web.app import declared_routes  # app imports these pages

    routes = {key: route for key, (route, _) in declared_routes(app).items()}
    anonymous = registry.role_permissions.get("anonymous", frozenset())
    return msgspec.json.encode(complete_document(app.openapi_schema.to_schema(), routes, anonymous))


class DocsController(Controller):
    """The documentation of the API, from files of our own: nothing is loaded from elsewhere."""

    path = "/docs"

    @get(public=True, media_type="text/html")
    async def read_docs_page(self) -> Response[str]:
        """The API, to read and try."""
        return Response(_DOCS_PAGE, media_type="text/html", headers={"Content-Security-Policy": _DOCS_CSP})

    @get("/assets/{name:str}", public=True, errors=(NotFound,))
    async def read_docs_asset(self, name: AssetName) -> Response[bytes]:
        """A file of the documentation page."""
        if name == "start.js":
            return Response(_DOCS_START.encode(), media_type="text/javascript", headers=_cached())
        if name not in _ASSETS:
            raise NotFound("The documentation page has no such file.")
        content = await asyncio.to_thread(_swagger_ui().joinpath(name).read_bytes)
        return Response(content, media_type=_ASSETS[name], headers=_cached())


def _cached() -> dict[str, str]:
    return {"Cache-Control": "public, max-age=86400"}


def _swagger_ui() -> Path:
    """The folder of Swagger UI's files in the package `swagger-ui-py`, of which nothing else is used."""
    spec = importlib.util.find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package swagger-ui-py is not installed")
    return Path(spec.origin).parent / "static"


ROOT_CONTROLLERS: tuple[type[Controller], ...] = (
    FrontController,
    HealthController,
    MetricsController,
    DocumentController,
    DocsController,
    JwksController,
    MetadataController,
)
