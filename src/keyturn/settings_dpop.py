"""Settings of proofs of possession."""

from pydantic import Field

from keyturn.settings_syntax import Section


class DpopSettings(Section):
    """Proofs of possession (RFC 9449)."""

    require_nonce: bool = Field(
        default=False, description="Proofs must carry a nonce that an answer of this server gave."
    )
