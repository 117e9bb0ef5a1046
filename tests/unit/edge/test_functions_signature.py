"""Signatures of requests to the operator's functions."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from bridge.edge.functions_signature import sign, verify_signature

BODY = b'{"function":"lookup"}'
NOW = 1_763_700_000


def test_signature_is_a_plain_hmac() -> None:
    """A receiver in any language can compute it: HMAC-SHA256 of time, dot and body."""
    digest = hmac.new(b"s3cret", b"1763700000." + BODY, hashlib.sha256).hexdigest()

    assert f"v1={digest}" == sign("s3cret", "1763700000", BODY)


@pytest.mark.parametrize("now", [NOW - 300, NOW, NOW + 300])
def test_receiver_accepts_a_fresh_signature(now: float) -> None:
    """Clocks may differ by five minutes."""
    signature = sign("s3cret", str(NOW), BODY)

    assert verify_signature("s3cret", BODY, timestamp=str(NOW), signature=signature, now=now)


def test_receiver_reads_its_own_clock() -> None:
    """Without a time that is given, a signature of long ago is refused."""
    assert not verify_signature("s3cret", BODY, timestamp="1000", signature=sign("s3cret", "1000", BODY))


@pytest.mark.parametrize(
    "changed",
    [
        {"secret": "other"},
        {"secret": ""},
        {"body": BODY + b" "},
        {"timestamp": str(NOW + 1)},
        {"timestamp": ""},
        {"timestamp": "-1"},
        {"timestamp": "\u0661"},
        {"timestamp": "9" * 5_000},
        {"signature": ""},
        {"signature": "v1="},
        {"signature": "v1=\u00e9"},
        {"signature": sign("s3cret", str(NOW), BODY).removeprefix("v1=")},
        {"now": NOW + 301},
        {"now": NOW - 301},
    ],
    ids=str,
)
def test_receiver_refuses_anything_else(changed: dict[str, object]) -> None:
    """Another secret, body or time, what is no signature, and what comes too late."""
    right = {
        "secret": "s3cret",
        "body": BODY,
        "timestamp": str(NOW),
        "signature": sign("s3cret", str(NOW), BODY),
        "now": NOW,
    }

    assert not verify_signature(**right | changed)  # type: ignore[arg-type] # one table for values of several types
