"""From `bridge.toml` and the environment to `bridge.settings.Settings`, or to everything that is wrong with them.

Start reading in `loading`; `commands` holds what `voicebridge config` does.
"""

from __future__ import annotations

from bridge.configuration.loading import ConfigurationErrors, Loaded, load

__all__ = ["ConfigurationErrors", "Loaded", "load"]
