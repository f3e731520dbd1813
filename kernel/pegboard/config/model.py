"""The shape of the configuration: `[pegboard.*]` of `plugins.toml`, overridden by `PEGBOARD_<SECTION>__<FIELD>`."""

from typing import Annotated, Any, Literal

import msgspec
from pegboard_sdk.settings import Secret

from pegboard.config.sso import SsoProvider

__all__ = (
    "AdministratorConfig",
    "AuthConfig",
    "Block",
    "Config",
    "DatabaseConfig",
    "HttpConfig",
    "IsolationConfig",
    "JobsConfig",
    "LogConfig",
    "MailConfig",
    "OutboundConfig",
    "PluginEntry",
    "RedisConfig",
    "SecretsConfig",
)

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class DatabaseConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PostgreSQL. `url` is the owner's (migrations); empty: an embedded server.

    The application's and the system's URLs are derived from it unless given.
    """

    url: Secret = Secret("")
    app_url: Secret = Secret("")
    system_url: Secret = Secret("")
    pool_size: Positive = 10
    acquire_timeout: Seconds = 5.0
    statement_timeout: Seconds = 30.0


class RedisConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Redis >= 7 or Valkey. `url` empty: an embedded server."""

    url: Secret = Secret("")


class HttpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The API. Sizes in bytes, times in seconds, rates in requests per minute."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8000
    workers: Positive = 1
    public_url: str = ""
    allowed_origins: list[str] = []
    allowed_hosts: list[str] = []
    trusted_proxies: list[str] = []
    forwarded_by: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    max_body: Positive = 1_048_576
    request_timeout: Seconds = 30.0
    header_timeout: Seconds = 30.0
    body_timeout: Seconds = 20.0
    rate_per_ip: Positive = 1_200
    rate_ipv6_prefix: Annotated[int, msgspec.Meta(ge=32, le=128)] = 64
    rate_per_principal: Positive = 3_000
    rate_guessable: Positive = 20
    guess_failures: Positive = 100
    guess_wait_max: Positive = 300
    stuffing_names: Positive = 100
    stuffing_networks: Positive = 20
    stuffing_tightens: bool = False
    internal_metrics: bool = False


class AuthConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Log-in. Times in seconds. `registration`: whether people may register themselves, and whether they must first
    prove that the address is theirs.
    """

    access_ttl: Positive = 900
    refresh_ttl: Positive = 2_592_000
    session_max_age: Positive = 7_776_000
    refresh_grace: Annotated[int, msgspec.Meta(ge=0, le=30)] = 30
    registration: Literal["open", "verified", "closed"] = "open"
    password_min_length: Annotated[int, msgspec.Meta(ge=8, le=128)] = 12
    hash_threads: Positive = 2
    fresh_ttl: Positive = 300
    key_ttl: Positive = 7_776_000
    key_max_ttl: Positive = 31_536_000
    signing_key_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    verify_ttl: Positive = 86_400
    reset_ttl: Positive = 1_800
    challenge_ttl: Positive = 300
    lockout_attempts: Positive = 10
    lockout_base: Positive = 30
    lockout_max: Positive = 900
    trusted_device_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 30
    passkey_domain: str = ""


class AdministratorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first administrator, made when there is no account yet. `password` empty: one is made and printed once."""

    email: str = "admin@pegboard.example"
    password: Secret = Secret("")


class MailConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mail to the marketplace's people. `console` prints it, tokens included: for one's own machine. `timeout` in
    seconds.
    """

    transport: Literal["console", "smtp"] = "console"
    sender: str = "Pegboard <no-reply@pegboard.example>"
    host: str = "localhost"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: Secret = Secret("")
    timeout: Seconds = 30.0
    link: str = ""


class OutboundConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls to other programs. `private_hosts`, by plugin (or `*`), are those of the platform's own network that may be
    called; `ports` are those that may be called where a plugin's manifest or `private_hosts` names none.
    """

    ports: list[Annotated[int, msgspec.Meta(ge=1, le=65535)]] = msgspec.field(default_factory=lambda: [80, 443])
    private_hosts: dict[str, list[str]] = {}


class JobsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Workers. Times in seconds; `retention_days` is how long finished jobs and relayed events are kept."""

    concurrency: Positive = 16
    processes: Positive = 1
    poll_interval: Seconds = 1.0
    heartbeat_interval: Seconds = 5.0
    rescue_after: Seconds = 30.0
    shutdown_grace: Seconds = 20.0
    retention_days: Positive = 7


class IsolationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What keeps a plugin's failures its own. Times in seconds, `failure_ratio` as a part of the calls."""

    window: Seconds = 30.0
    minimum_calls: Positive = 20
    failure_ratio: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    open_seconds: Seconds = 10.0
    max_open_seconds: Seconds = 300.0
    probes: Positive = 3
    import_timeout: Seconds = 20.0
    startup_timeout: Seconds = 10.0
    health_interval: Seconds = 30.0
    health_failures: Positive = 10
    loop_blocked_after: Seconds = 0.25
    loop_ended_after: Seconds = 60.0


class SecretsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The vault. `master_key`: 32 bytes in base64 or hex; empty: one is made in the data folder.

    `earlier_master_keys` only open what was sealed under them, until `pegboard secrets rotate` has sealed it again.
    """

    master_key: Secret = Secret("")
    earlier_master_keys: list[Secret] = []


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log. `auto` is readable text on a terminal and JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Versions of a plugin that must not be loaded: a specifier (PEP 440), why, and the last version that was good."""

    versions: str
    reason: str
    last_good: str = ""


class PluginEntry(msgspec.Struct, frozen=True):
    """`[plugins.<name>]`: whether it is on, and its settings as they were written: its Struct checks them later.

    `environment` holds what `PEGBOARD_<NAME>__<FIELD>` says, by field: it overrides `settings`. `pin` is the hash that
    the installed plugin's files must have, if any; `blocked` are versions that are not loaded.
    """

    name: str
    enabled: bool
    settings: dict[str, Any] = {}
    environment: dict[str, Secret] = {}
    pin: str = ""
    blocked: list[Block] = []


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that an administrator decides.

    `strict`: a plugin that must be skipped is a refusal to start. `safe_mode`: only the plugins that come with Pegboard
    are loaded. `var` is the data folder, `path` the file's.
    """

    strict: bool = False
    safe_mode: bool = False
    var: str = "./var"
    sso: dict[str, SsoProvider] = {}
    database: DatabaseConfig = DatabaseConfig()
    redis: RedisConfig = RedisConfig()
    http: HttpConfig = HttpConfig()
    auth: AuthConfig = AuthConfig()
    administrator: AdministratorConfig = AdministratorConfig()
    mail: MailConfig = MailConfig()
    outbound: OutboundConfig = OutboundConfig()
    jobs: JobsConfig = JobsConfig()
    isolation: IsolationConfig = IsolationConfig()
    secrets: SecretsConfig = SecretsConfig()
    log: LogConfig = LogConfig()
    plugins: dict[str, PluginEntry] = {}
    path: str = ""
