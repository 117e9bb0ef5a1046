"""Whether a Python module is there, without running any of it: looking at a configuration has no side effects."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec


def is_there(name: str) -> bool:
    """Whether a module can be found; what it does when it is imported, and whether that works, shows at the start."""
    if name in sys.modules:
        return True
    places, found = None, ""
    for part in name.split("."):
        found = f"{found}.{part}" if found else part
        spec = _find(found, places)
        if spec is None:
            return False
        places = spec.submodule_search_locations or []
    return True


def _find(name: str, places: Sequence[str] | None) -> ModuleSpec | None:
    """As the import system finds it, but for the packages around it, which it would run."""
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))  # old ones have nothing else
    return next((spec for finder in finders if (spec := finder.find_spec(name, places))), None)
