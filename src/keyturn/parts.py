"""What more than one door, rule or job needs, made of what the process has."""

from dataclasses import dataclass
from datetime import timedelta

from keyturn.authorizations.codes import Codes
from keyturn.authorizations.consents import Consents
from keyturn.authorizations.device_approvals import DeviceApprovals
from keyturn.authorizations.device_codes import DeviceCodes
from keyturn.authorizations.pushed import PushedRequests
from keyturn.authorizations.requests import Requests
from keyturn.clients.rules import Limits
from keyturn.logins.logins import LoginLifetimes, Logins
from keyturn.process import Process
from keyturn.registrations.registrations import Registrations
from keyturn.replays.replays import Replays
from keyturn.sessions.rotation import Rotation
from keyturn.sessions.start import Starter
from keyturn.sessions.step_up import StepUps
from keyturn.sessions.unproven import Unproven
from keyturn.tokens.access_token import AccessTokens
from keyturn.tokens.dpop_nonce import Nonces
from keyturn.tokens.id_token import IdTokens
from keyturn.tokens.logout_token import LogoutTokens
from keyturn.tokens.verify import AccessTokenVerifier
from keyturn.users.accounts import Accounts
from keyturn.users.authenticate import Authenticator
from keyturn.web.browser import BrowserCookies, Csrf
from keyturn.web.dpop import Dpop
from keyturn.web.presented_token import PresentedTokens


@dataclass(frozen=True, slots=True, eq=False)
class Parts(Process):
    """Rules with their collaborators; made anew for each who asks, they hold nothing."""

    @property
    def accounts(self) -> Accounts:
        """The people."""
        return Accounts(self.database, self.passwords, self.ending, self.audit)

    @property
    def authenticator(self) -> Authenticator:
        """What checks passwords."""
        return Authenticator(self.database, self.passwords, self.throttle, self.metrics, self.audit)

    @property
    def starter(self) -> Starter:
        """What begins sessions."""
        return Starter(
            database=self.database,
            codec=self.codec,
            ending=self.ending,
            clock=self.clock,
            step_ups=self.step_ups,
            max_per_user=self.settings.sessions.max_per_user,
        )

    @property
    def step_ups(self) -> StepUps:
        """What lets one session take another's place."""
        grace = timedelta(seconds=self.settings.sessions.grace)
        return StepUps(self.database, self.ending, grace)

    @property
    def logins(self) -> Logins:
        """The browsers signed in here."""
        lifetimes = LoginLifetimes.of(self.settings.logins)
        return Logins(self.database, self.ending, self.audit, lifetimes)

    @property
    def requests(self) -> Requests:
        """The authorization requests that wait for a person."""
        return Requests(self.database, self.secrets)

    @property
    def pushed_requests(self) -> PushedRequests:
        """The authorization requests that clients have pushed."""
        lifetime = timedelta(seconds=self.settings.pushed_requests.lifetime)
        return PushedRequests(self.database, self.secrets, lifetime)

    @property
    def codes(self) -> Codes:
        """The authorization codes."""
        return Codes(
            database=self.database,
            starter=self.starter,
            accounts=self.accounts,
            sessions=self.settings.sessions,
            audit=self.audit,
            issuer=self.settings.issuer,
        )

    @property
    def device_codes(self) -> DeviceCodes:
        """The codes of devices."""
        return DeviceCodes(
            database=self.database,
            starter=self.starter,
            accounts=self.accounts,
            secrets=self.secrets,
            settings=self.settings.device,
            sessions=self.settings.sessions,
            audit=self.audit,
            issuer=self.settings.issuer,
        )

    @property
    def device_approvals(self) -> DeviceApprovals:
        """What people say to devices."""
        return DeviceApprovals(self.database, self.secrets, self.audit)

    @property
    def replays(self) -> Replays:
        """What was used already and is good once."""
        return Replays(self.database)

    @property
    def dpop(self) -> Dpop:
        """What checks proofs of possession."""
        nonces = Nonces(self.secrets, self.clock) if self.settings.dpop.require_nonce else None
        return Dpop(self.replays, self.clock, self.settings.issuer, nonces)

    @property
    def presented_tokens(self) -> PresentedTokens:
        """What checks the access tokens of requests to us."""
        return PresentedTokens(self.verifier, self.registry, self.dpop)

    @property
    def consents(self) -> Consents:
        """What people have allowed applications."""
        return Consents(self.database, self.ending, self.audit)

    @property
    def rotation(self) -> Rotation:
        """The heart."""
        return Rotation(
            database=self.database,
            rotations=self.rotations,
            codec=self.codec,
            revocations=self.revocations,
            step_ups=self.step_ups,
            unproven=Unproven(self.replays, self.audit),
            audit=self.audit,
            metrics=self.metrics,
            clock=self.clock,
            issuer=self.settings.issuer,
            default_grace=timedelta(seconds=self.settings.sessions.grace),
        )

    @property
    def access_tokens(self) -> AccessTokens:
        """What signs."""
        tokens = self.settings.tokens
        return AccessTokens(
            keyring=self.keyring,
            metrics=self.metrics,
            clock=self.clock,
            issuer=self.settings.issuer,
            lifetime=timedelta(seconds=tokens.access_token_lifetime),
            client_credentials_lifetime=timedelta(seconds=tokens.client_credentials_lifetime),
            step_up_max_age=timedelta(seconds=self.settings.sessions.step_up_max_age),
            refers_to_lists=self.settings.status_list.enabled,
        )

    @property
    def id_tokens(self) -> IdTokens:
        """What tells a client who has signed in."""
        return IdTokens(
            keyring=self.keyring,
            metrics=self.metrics,
            clock=self.clock,
            issuer=self.settings.issuer,
            lifetime=timedelta(seconds=self.settings.tokens.access_token_lifetime),
            step_up_max_age=timedelta(seconds=self.settings.sessions.step_up_max_age),
        )

    @property
    def logout_tokens(self) -> LogoutTokens:
        """What tells a client that a session has ended."""
        return LogoutTokens(self.keyring, self.metrics, self.clock, self.settings.issuer)

    @property
    def registrations(self) -> Registrations:
        """The clients that registered themselves."""
        return Registrations(
            database=self.database,
            limits=Limits.of(self.settings),
            settings=self.settings.registration,
            ending=self.ending,
            audit=self.audit,
            clock=self.clock,
        )

    @property
    def browser_cookies(self) -> BrowserCookies:
        """What a browser keeps for us."""
        return BrowserCookies(self.settings.issuer, secure=not self.settings.is_loopback)

    @property
    def csrf(self) -> Csrf:
        """What tells our own forms from foreign ones."""
        return Csrf(self.secrets, self.settings.issuer)

    @property
    def verifier(self) -> AccessTokenVerifier:
        """What checks the tokens presented to us."""
        settings = self.settings
        skew = settings.tokens.clock_skew
        return AccessTokenVerifier(
            self.keyring, self.revocations, self.clock, settings.issuer, skew
        )
