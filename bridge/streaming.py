"""The addresses that the carrier is given: of the webhooks, and of a call's media stream with its token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twiml import documents

if TYPE_CHECKING:
    from bridge.edge.admission import Place
    from bridge.edge.driver import Driver
    from bridge.settings import Settings


def url_of(settings: Settings, route: str) -> str:
    """The public address of a webhook."""
    return f"{settings.server.public_url.rstrip('/')}/twiml/{route}"


def stream_of(settings: Settings, place: Place[Driver]) -> documents.Stream:
    """The stream that a call is to open next."""
    return documents.Stream(
        url=settings.server.stream_url,
        token=place.token,
        action=f"{url_of(settings, 'after-stream')}?stream={place.streams}",
        status_callback=url_of(settings, "stream-status"),
    )
