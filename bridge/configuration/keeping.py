"""Whether what is kept of calls, and who is told about them, fits together: records, their webhook, recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.configuration.keys import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.settings import Settings


def problems(settings: Settings) -> Iterator[Problem]:
    """Everything about records and recordings that keeps the bridge from starting."""
    yield from _webhook(settings)
    twilio = settings.twilio
    by_rest = twilio.control == "rest" and bool(twilio.account_sid and twilio.auth_token.get_secret_value())
    if settings.recording.on and not by_rest:
        way_out = 'set twilio.control = "rest", twilio.account_sid and twilio.auth_token'
        yield Problem(("recording", "on"), f"needs the carrier's REST interface, also to pause for secrets: {way_out}")


def notices(settings: Settings) -> Iterator[Problem]:
    """What is accepted and should be known."""
    is_shared = not settings.shared.url.get_secret_value().startswith("memory://")
    is_file = settings.storage.url.get_secret_value().startswith("sqlite:")
    if settings.records.keep and is_shared and is_file:
        message = (
            "is a file of one machine, and several bridges answer: each knows its own calls only; use postgresql://"
        )
        yield Problem(("storage", "url"), message)


def _webhook(settings: Settings) -> Iterator[Problem]:
    records = settings.records
    if not records.webhook_url:
        return
    if not records.keep:
        yield Problem(("records", "webhook_url"), "tells of records: set records.keep = true too")
    if not records.webhook_secret.get_secret_value():
        yield Problem(("records", "webhook_secret"), "is missing: without it the receiver cannot tell us from others")
    if records.webhook_url.startswith("http://") and not records.webhook_allow_private:
        yield Problem(("records", "webhook_url"), "must be https: callers' numbers and words are sent there")
