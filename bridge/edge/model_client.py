"""Which client carries sessions with the model: picows's where the extra `fast` is installed, else `websockets`'s.

Whichever door media streams come by: picows takes less of the processor for the same texts (docs/speed.md).
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
from typing import TYPE_CHECKING

from bridge.edge.model import ModelSocket
from bridge.errors import ConfigurationError

if TYPE_CHECKING:
    from bridge.edge.model_leg import ModelLeg

OLDEST_PICOWS = (2, 3)
"""As the extra `fast` asks for; another package may have brought an older one along."""
MISSING = "is not installed"
_log = logging.getLogger("bridge")


def model_client() -> type[ModelLeg]:
    """The client that opens sessions.

    A picows that is there and cannot be used is no reason to leave a telephone unanswered that does without: the log
    says so, and sessions go by `websockets`.
    """
    fault = picows_fault()
    if not fault:
        from bridge.edge.model_fast import FastModelSocket  # noqa: PLC0415 - the extra `fast` is needed only here

        return FastModelSocket
    if fault != MISSING:
        _log.warning("extra.failed", extra={"extra": "fast", "reason": f"picows {fault}", "instead": "websockets"})
    return ModelSocket


def require_picows() -> None:
    """For the fast door, which cannot do without.

    Raises:
        ConfigurationError: picows cannot be used.
    """
    fault = picows_fault()
    if fault == MISSING:
        message = "the fast door needs one more package: pip install 'voicebridge[fast]'"
    elif fault:
        message = f"the fast door needs picows, and picows {fault}: pip install --force-reinstall 'voicebridge[fast]'"
    else:
        return
    raise ConfigurationError(message, key="server.media_port")


def picows_fault() -> str:
    """Why picows cannot be used, as in "picows is not installed"; empty when it can."""
    if importlib.util.find_spec("picows") is None:
        return MISSING
    try:
        version = str(importlib.import_module("picows").__version__)
    except Exception as error:  # noqa: BLE001 - what a compiled module of another Python, or half a package, raises
        return f"cannot be imported ({type(error).__name__}: {error})"
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST_PICOWS:
        return f"{version} is too old"
    return ""
