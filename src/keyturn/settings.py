"""Every setting, its unit, its default, and the combinations the process refuses to start with.

Where they come from, `keyturn.configuration` knows. `config/keyturn.yaml` explains each for
operators; a test keeps the two in step. Durations are seconds.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from keyturn import settings_syntax as syntax
from keyturn.settings_credentials import PasswordsSettings, ThrottleSettings
from keyturn.settings_device import DeviceSettings
from keyturn.settings_dpop import DpopSettings
from keyturn.settings_outgoing import OutgoingSettings
from keyturn.settings_pages import PagesSettings
from keyturn.settings_postgres import PostgresSettings
from keyturn.settings_pushed import PushedRequestsSettings
from keyturn.settings_redis import RedisSettings
from keyturn.settings_registration import RegistrationSettings
from keyturn.settings_status_list import StatusListSettings
from keyturn.settings_syntax import Fraction, Networks, Seconds, Section
from keyturn.settings_tracing import TracingSettings

PREFIX = "KEYTURN_"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SHORTEST_LIFETIME = 60
LONGEST_ACCESS_TOKEN = 3600
"""Seconds no access token outlives, whoever asks: retired keys and revocations are kept longer."""


class ServerSettings(Section):
    """Where the two servers listen, and what they accept."""

    host: str = Field("0.0.0.0", description="Address of the public port.")  # noqa: S104 - a container's
    port: int = Field(8080, ge=0, le=65535, description="Public port.")
    management_host: str = Field("0.0.0.0", description="Address of the management port.")  # noqa: S104
    management_port: int = Field(
        8081, ge=0, le=65535, description="Port of health, metrics and administration."
    )
    workers: int = Field(1, ge=1, le=256, description="Processes that answer the public port.")
    trusted_proxies: Networks = Field(
        (), description="Networks whose X-Forwarded-For is believed; default nobody."
    )
    drain_seconds: int = Field(8, ge=0, le=3600, description="Seconds not ready but accepting.")
    grace_seconds: int = Field(25, ge=1, le=3600, description="Seconds for requests in flight.")
    max_body_bytes: int = Field(65536, ge=1024, description="Largest request body.")
    max_form_bytes: int = Field(16384, ge=1024, description="Largest form at protocol endpoints.")
    max_header_bytes: int = Field(16384, ge=1024, description="Largest header block.")
    max_url_bytes: int = Field(8192, ge=7168, description="Largest request target.")
    header_timeout: Fraction = Field(10.0, description="Seconds for the header block to arrive.")
    body_timeout: Fraction = Field(10.0, description="Seconds for the body to arrive.")
    idle_timeout: Fraction = Field(5.0, description="Seconds a kept-alive connection may idle.")
    answer_timeout: Fraction = Field(30.0, description="Seconds an answer may lie unread.")


class SessionsSettings(Section):
    """How long people stay signed in."""

    absolute_lifetime: Seconds = Field(7 * 86400, description="When rememberMe is absent.")
    remembered_lifetime: Seconds = Field(30 * 86400, description="When rememberMe is true.")
    unremembered_lifetime: Seconds = Field(86400, description="When rememberMe is false.")
    idle_lifetime: Seconds = Field(7 * 86400, description="A session unused for so long ends.")
    grace: int = Field(10, ge=0, le=60, description="Default grace of refresh rotation.")
    max_per_user: int = Field(100, ge=1, le=10_000, description="Of one user; the oldest ends.")
    step_up_max_age: Seconds = Field(300, description="How long a sign-in counts as fresh.")


class LoginsSettings(Section):
    """How long a browser stays signed in at this server (single sign-on)."""

    lifetime: Seconds = Field(12 * 3600, description="When not remembered.")
    remembered_lifetime: Seconds = Field(30 * 86400, description="When remembered; used or not.")
    idle_lifetime: Seconds = Field(4 * 3600, description="Unused so long it ends, if unremembered.")


class SessionApiSettings(Section):
    """The JSON API for first-party apps."""

    # Any other path is not of a request to /auth: browsers would never send the cookie.
    cookie_path: Literal["/", "/auth"] = Field("/", description="Cookie's Path.")


class TokensSettings(Section):
    """Access tokens."""

    access_token_lifetime: int = Field(
        600, ge=1, le=LONGEST_ACCESS_TOKEN, description="Default for sessions."
    )
    client_credentials_lifetime: int = Field(
        300, ge=1, le=LONGEST_ACCESS_TOKEN, description="For machines."
    )
    clock_skew: int = Field(60, ge=0, le=60, description="Leeway when a token is checked.")


class KeysSettings(Section):
    """Signing keys and the JWKS."""

    jwks_max_age: int = Field(300, ge=1, le=3600, description="max-age of the JWKS.")
    staleness: Seconds = Field(60, description="Oldest keyring a replica may serve from.")
    lead: Seconds = Field(900, description="A key is published so long before it may sign.")
    period: Seconds = Field(90 * 86400, description="A key signs for so long.")


class RevocationSettings(Section):
    """The revocation cache: `trust` and the copier's patience make the 2.5 s one may go unseen."""

    copy_interval: float = Field(0.5, ge=0.001, le=0.5, description="Seconds between two copies.")
    trust: float = Field(2.0, ge=0.001, le=2, description="Seconds of trust since it last moved.")


class JobsSettings(Section):
    """What time does."""

    purge_interval: int = Field(300, ge=1, le=86400, description="Seconds between two purges.")
    purge_batch: int = Field(1000, ge=1, le=100_000, description="Rows one statement deletes.")
    keys_interval: int = Field(5, ge=1, le=60, description="Seconds between two looks at the keys.")
    logout_interval: Fraction = Field(1.0, description="Seconds between two looks for logouts.")
    logout_lifetime: Seconds = Field(86400, description="A client is told of a logout until then.")


class AuditSettings(Section):
    """The audit trail."""

    queue_limit: int = Field(10_000, ge=100, description="Events held while the database is away.")
    flush_interval: Fraction = Field(0.5, description="Seconds between two batches.")
    retention_days: int = Field(400, ge=0, le=36_500, description="Days kept; 0: for ever.")
    stdout: bool = Field(default=False, description="Each event is a line on stdout, too.")


class LogSettings(Section):
    """JSON lines on stdout."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level.")


class Settings(BaseSettings):
    """All settings of one process, frozen; build with `configuration.load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    issuer: str = Field(description="The public https URL of this server, without trailing slash.")
    secrets: Annotated[SecretStr, NoDecode] = Field(
        description="Master secrets, `id: value` by line or comma; the first makes new tokens."
    )
    development: bool = Field(default=False, description="Lifetimes down to 1 s; loopback only.")
    clients_file: Path | None = Field(None, description="A clients.yaml applied at start.")
    postgres: PostgresSettings
    redis: RedisSettings = RedisSettings()
    server: ServerSettings = ServerSettings()
    sessions: SessionsSettings = SessionsSettings()
    logins: LoginsSettings = LoginsSettings()
    session_api: SessionApiSettings = SessionApiSettings()
    pushed_requests: PushedRequestsSettings = PushedRequestsSettings()
    pages: PagesSettings = PagesSettings()
    device: DeviceSettings = DeviceSettings()
    tokens: TokensSettings = TokensSettings()
    dpop: DpopSettings = DpopSettings()
    keys: KeysSettings = KeysSettings()
    passwords: PasswordsSettings = PasswordsSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    revocation: RevocationSettings = RevocationSettings()
    status_list: StatusListSettings = StatusListSettings()
    jobs: JobsSettings = JobsSettings()
    outgoing: OutgoingSettings = OutgoingSettings()
    registration: RegistrationSettings = RegistrationSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

    @field_validator("secrets", mode="before")
    @classmethod
    def _one_text(cls, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list | tuple) else value

    @field_validator("secrets")
    @classmethod
    def _strong_secrets(cls, value: SecretStr) -> SecretStr:
        syntax.master_secrets(value.get_secret_value())
        return value

    @field_validator("issuer")
    @classmethod
    def _issuer_shape(cls, value: str) -> str:
        scheme, host = syntax.issuer(value)
        if scheme == "http" and host not in LOOPBACK:
            raise ValueError("an http issuer is accepted on loopback only; use https")
        return value

    @model_validator(mode="after")
    def _safe_together(self) -> Self:
        if self.development and urlsplit(self.issuer).hostname not in LOOPBACK:
            raise ValueError("development: true is accepted with a loopback issuer only")
        shortest = min(
            self.tokens.access_token_lifetime,
            self.tokens.client_credentials_lifetime,
            self.sessions.unremembered_lifetime,
            self.sessions.remembered_lifetime,
            self.sessions.absolute_lifetime,
            self.sessions.idle_lifetime,
            self.logins.lifetime,
            self.logins.remembered_lifetime,
            self.logins.idle_lifetime,
        )
        if shortest < SHORTEST_LIFETIME and not self.development:
            raise ValueError(f"lifetimes under {SHORTEST_LIFETIME} s are for development: true")
        gate = self.keys.jwks_max_age + self.keys.staleness + self.tokens.clock_skew
        if self.keys.lead < gate and not self.development:
            raise ValueError(f"keys.lead must be at least {gate} s: max-age + staleness + skew")
        return self

    def master_values(self) -> dict[int, bytes]:
        """Return the master secrets by id in the operator's order: for `MasterSecrets` only."""
        return syntax.master_secrets(self.secrets.get_secret_value())

    @property
    def is_loopback(self) -> bool:
        """Whether the issuer is plain http on this machine: cookies then carry no `Secure`."""
        return self.issuer.startswith("http://")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing behind the caller's back: `configuration` hands everything in."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)
