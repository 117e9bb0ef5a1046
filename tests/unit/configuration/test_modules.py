"""Whether a module is there is told without running it, however it was installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import pytest

from bridge.configuration.modules import is_there


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package whose modules fail when they are run."""
    package = tmp_path / "violins"
    package.mkdir()
    for name in ("__init__", "shop"):
        (package / f"{name}.py").write_text("raise AssertionError('was run')\n")
    return tmp_path


def test_module_on_the_path_is_found_and_one_that_is_not_is_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every depth."""
    monkeypatch.syspath_prepend(folder)

    assert [True, True, False, False] == [
        is_there(name) for name in ("violins", "violins.shop", "violins.shops", "violins.shop.till")
    ]
    assert "violins" not in sys.modules


def test_module_that_is_installed_by_a_finder_of_its_own_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packages installed in place to be edited are often not on the path."""

    class Installed:
        def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
            del target
            return PathFinder.find_spec(name, [str(folder)]) if name == "violins" and path is None else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Installed()])

    assert is_there("violins.shop")
    assert not is_there("violins.shops")


def test_module_of_python_itself_is_found() -> None:
    """Compiled in, frozen or a file."""
    assert [True] * 3 == [is_there(name) for name in ("_imp", "zipimport", "xmlrpc.client")]
