"""Where the server is and how we log in there: a URL, read again from its file where it has one.

So a password is changed without a restart. Whatever start-up would refuse in the file is not
taken: what it said before stands. Between a new file and a new password on the server, the server
refuses what the file says; then the login that worked last is tried, at the same server only: a
URL that leads elsewhere is obeyed or fails.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from keyturn import settings_syntax as syntax
from keyturn.configuration import read_secret_file
from keyturn.errors import SettingsRefused

log = structlog.get_logger("keyturn.db")


@dataclass(slots=True, eq=False)
class Address:
    """The URL to open the next connection with; whoever opens says how that went."""

    secret: SecretStr
    _said: str = field(init=False, repr=False)
    """What the file said last that could be taken."""
    _worked: str = field(init=False, repr=False)
    _told: set[str] = field(default_factory=set, init=False)
    """The trouble that is in the log already, and not over."""

    def __post_init__(self) -> None:
        """Begin with what the settings say."""
        self._said = self._worked = self.secret.get_secret_value()

    def url(self) -> str:
        """Return the URL as its file has it now."""
        if isinstance(self.secret, syntax.SecretInFile):
            try:
                text = read_secret_file(self.secret.path)
                self._said = syntax.postgres_url(SecretStr(text)).get_secret_value()
            except (SettingsRefused, ValueError) as error:
                self._tell("postgres_url_file_refused", str(error))
            else:
                self._recover("postgres_url_file_refused")
        return self._said

    def other_login(self, url: str) -> str | None:
        """Return the URL that worked last, if only its login is another one than `url` has."""
        differs = self._worked != url and _without_login(self._worked) == _without_login(url)
        if not differs:
            return None
        self._tell("postgres_login_refused", "the login that worked last is used")
        return self._worked

    def worked(self, url: str) -> None:
        """Note that the server took this one."""
        self._worked = url
        if url == self._said:
            self._recover("postgres_login_refused")

    def _tell(self, event: str, reason: str) -> None:
        if event not in self._told:
            log.warning(event, reason=reason)
        self._told.add(event)

    def _recover(self, event: str) -> None:
        self._told.discard(event)


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
