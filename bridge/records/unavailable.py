"""What is raised when the records cannot be had."""

from __future__ import annotations

from bridge.errors import BridgeError


class RecordsUnavailableError(BridgeError):
    """The database does not answer (in time)."""
