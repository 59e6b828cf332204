"""Which failures ask for a rest at once, and for how long."""

from __future__ import annotations

from ghostd.errors import (
    GhostdError,
    KeyRefused,
    ModelUnavailable,
    NoUsableKey,
    QuotaExhausted,
    RateLimited,
    UpstreamModelMissing,
)

_RESTS_S: dict[type[GhostdError], float] = {
    RateLimited: 5.0,
    KeyRefused: 60.0,
    NoUsableKey: 60.0,
    QuotaExhausted: 300.0,
    UpstreamModelMissing: 60.0,
    ModelUnavailable: 5.0,
}
"""How long where the failure does not say so itself."""
KEY_ERRORS = (KeyRefused, NoUsableKey, QuotaExhausted)
"""What another API key may mend."""


def rest_s(error: GhostdError) -> float | None:
    """Seconds of rest after this failure, as it asks for itself or as is usual; None where it asks for none."""
    for cause, usual_s in _RESTS_S.items():
        if isinstance(error, cause):
            asked: float | None = getattr(error, "retry_after_s", None)
            return usual_s if asked is None else asked
    return None
