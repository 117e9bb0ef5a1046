"""A configuration from a text, as an operator would write it."""

from __future__ import annotations

import wave
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bridge.configuration import ConfigurationErrors, Loaded, load

Loader = Callable[..., Loaded]
Refuser = Callable[..., list[str]]


@pytest.fixture
def load_text(tmp_path: Path) -> Loader:
    """Load the text of a TOML file that stands in `tmp_path`."""

    def load_text(text: str, environ: Mapping[str, str] | None = None) -> Loaded:
        path = tmp_path / "bridge.toml"
        path.write_text(text)
        return load(path, environ or {})

    return load_text


@pytest.fixture
def problems_of(load_text: Loader) -> Refuser:
    """The problems of a text that must be refused, each as `key: message`."""

    def problems_of(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigurationErrors) as refused:
            load_text(text, environ)
        return [f"{problem.key}: {problem.message}" for problem in refused.value.problems]

    return problems_of


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of silence in a WAV file beside the configuration."""
    path = tmp_path / "hold.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    return path
