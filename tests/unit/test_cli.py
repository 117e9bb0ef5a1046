"""The command line itself, where no command's own tests look."""

from __future__ import annotations

import pytest

from bridge import cli, commands


def test_module_that_a_command_misses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a missing uvloop is done without; that something else is missing must not look like a fault of the loop."""

    async def serve(*_: object) -> int:
        raise ModuleNotFoundError("No module named 'something'")

    monkeypatch.setattr(commands, "serve", serve)

    with pytest.raises(ModuleNotFoundError, match="something"):
        cli.main(["serve"])
