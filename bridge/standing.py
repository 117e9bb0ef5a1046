"""Documents that depend on no call, only on the settings: what a caller hears when the bot is not to be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twiml import documents

if TYPE_CHECKING:
    from bridge.settings import Settings


def fallback_document(settings: Settings) -> str:
    """What the caller hears when the model cannot be used; it needs nothing of ours, so it may be hosted elsewhere."""
    fallback = settings.fallback
    destination = settings.destinations.get(fallback.destination)
    callee = None
    if destination is not None:
        callee = documents.Callee(to=destination.to, timeout_s=destination.timeout_s, caller_id=destination.caller_id)
    return documents.fallback(fallback.say, callee)
