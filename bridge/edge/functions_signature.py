"""Signatures of the requests that run the operator's functions: the receiver can trust that they are ours and fresh.

HMAC-SHA256 with the function's `secret`, over the time of the request and its body as it is sent. `verify_signature` is
for receivers, and needs nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import hmac
import time

TIMESTAMP_HEADER = "X-Voicebridge-Timestamp"
"""When the request was made: whole seconds since 1970, UTC."""
SIGNATURE_HEADER = "X-Voicebridge-Signature"
"""`v1=` and the signature in hexadecimal."""
TOLERANCE_S = 300.0
_LONGEST_TIMESTAMP = 15


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of `X-Voicebridge-Signature` for a request."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def verify_signature(
    secret: str,
    body: bytes,
    *,
    timestamp: str,
    signature: str,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Whether a request was signed with `secret`, not long ago.

    Args:
        secret: the function's.
        body: of the request, the bytes as they came: JSON that was decoded and encoded again is not the same.
        timestamp: the header `X-Voicebridge-Timestamp`; empty where there is none.
        signature: the header `X-Voicebridge-Signature`; empty where there is none.
        now: seconds since 1970; None: the clock's.
        tolerance_s: how far the two clocks may be apart, the way of the request included.

    When it is False, answer 403 and do nothing. A request may be repeated within the tolerance: where that matters, do
    what bears the same `Idempotency-Key` only once.
    """
    if not (secret and timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _LONGEST_TIMESTAMP):
        return False
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance_s:
        return False
    return hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode())
