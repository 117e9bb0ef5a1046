"""Whether a Python module is there, without running any of it: looking at a configuration has no side effects."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder


def is_there(name: str) -> bool:
    """Whether a module can be found; what it does when it is imported, and whether that works, shows at the start."""
    if name in sys.modules or name in sys.builtin_module_names:
        return True
    places, found = None, ""
    for part in name.split("."):
        found = f"{found}.{part}" if found else part
        spec = PathFinder.find_spec(found, places)
        if spec is None:
            return False
        places = spec.submodule_search_locations or []
    return True
