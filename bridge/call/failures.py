"""Why a session is lost, told apart: whether another one is opened at the same endpoint, at once, later or never.

Sources of the codes: the Realtime API's `error` events, OpenAI's guide on API error codes, and close codes: 4000 is
what OpenAI closes with when a client speaks the beta dialect, 1008, 3000 and 3003 are RFC 6455's and IANA's for who may
not come in.
"""

from __future__ import annotations

import re
from enum import Enum


class Verdict(Enum):
    """What follows from a failure, for the endpoint at which it happened."""

    AGAIN = "again"
    """Another session is opened at once."""
    LATER = "later"
    """The endpoint needs a pause."""
    NEVER = "never"
    """It would fail in the same way: this endpoint is not asked again in this call."""


_REASONS = {
    # of the socket, as `bridge.edge.model_leg` tells them apart
    "unresolved": Verdict.LATER,
    "unreachable": Verdict.LATER,
    "tls_failed": Verdict.NEVER,
    "timed_out": Verdict.AGAIN,
    "unauthorized": Verdict.NEVER,
    "not_found": Verdict.NEVER,
    "refused": Verdict.NEVER,
    "rate_limited": Verdict.LATER,
    "unavailable": Verdict.LATER,
    "closed": Verdict.AGAIN,
    "overflowed": Verdict.AGAIN,
    # of the session, as the call finds them
    "session_refused": Verdict.NEVER,
    "session_mismatched": Verdict.NEVER,
    "session_unconfirmed": Verdict.AGAIN,
    "response_overdue": Verdict.AGAIN,
    "responses_failed": Verdict.AGAIN,
    "nonsense": Verdict.AGAIN,
}
_CODES = {
    "beta_api_shape_disabled": Verdict.NEVER,
    "4000": Verdict.NEVER,
    "invalid_api_key": Verdict.NEVER,
    "incorrect_api_key": Verdict.NEVER,
    "missing_api_key": Verdict.NEVER,
    "1008": Verdict.NEVER,
    "3000": Verdict.NEVER,
    "3003": Verdict.NEVER,
    "insufficient_quota": Verdict.NEVER,
    "billing_hard_limit_reached": Verdict.NEVER,
    "model_not_found": Verdict.NEVER,
    "rate_limit_exceeded": Verdict.LATER,
    "1013": Verdict.LATER,
}
KNOWN = frozenset({*_REASONS, *_CODES})
"""Every reason and code that is told apart here."""
_SEVEREST = (Verdict.NEVER, Verdict.LATER)


def judge(reason: str, code: str) -> Verdict:
    """What follows from a failure.

    Args:
        reason: one of the closed list above; another one is tried again.
        code: the server's code, or the socket's close code and reason; of several words the severest counts.
    """
    found = {_CODES[word] for word in re.split(r"[^\w]+", code) if word in _CODES}
    found.add(_REASONS.get(reason, Verdict.AGAIN))
    return next((verdict for verdict in _SEVEREST if verdict in found), Verdict.AGAIN)


def is_fatal(code: str | None) -> bool:
    """Whether a code of an `error` or of a failed response says that this endpoint will not do any more."""
    return code is not None and _CODES.get(code) is Verdict.NEVER
