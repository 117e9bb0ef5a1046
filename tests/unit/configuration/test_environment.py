"""Variables as settings: every value finds its way back from text."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.configuration import environment
from bridge.configuration.keys import all_paths, annotation_at
from bridge.settings import Json, Settings

texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)
VALUES: dict[tuple[str, ...], st.SearchStrategy[Any]] = {
    ("server", "port"): st.integers(0, 65_535),
    ("server", "drain_s"): st.floats(0, 86_400),
    ("server", "host"): texts,
    ("tape", "record"): st.booleans(),
    ("model", "dialect"): st.sampled_from(["ga", "beta"]),
    ("model", "api_key"): texts,
    ("model", "extra_headers"): st.dictionaries(texts, texts),
    ("agents", "reception", "instructions"): texts,
    ("agents", "reception", "tools"): st.lists(texts),
    ("agents", "reception", "max_output_tokens"): st.one_of(st.integers(1, 4096), st.just("inf")),
    ("agents", "reception", "temperature"): st.floats(0, 2),
    ("agents", "reception", "turn_detection", "threshold"): st.floats(0, 1),
    ("functions", "f", "parameters"): st.dictionaries(texts, st.one_of(texts, st.integers(), st.booleans())),
}
settings_of = st.sampled_from(list(VALUES)).flatmap(lambda path: st.tuples(st.just(path), VALUES[path]))


@given(setting=settings_of)
def test_value_comes_back_from_a_variable(setting: tuple[tuple[str, ...], object]) -> None:
    """A value written as text, JSON where it is no text, is read as that value."""
    path, value = setting
    text = value if isinstance(value, str) else json.dumps(value)

    layer = environment.read({environment.variable(path): text}, {})

    assert ({path: environment.variable(path)}, value) == (layer.sources, _at(layer.tree, path))


@given(name=st.text(), value=st.text())
def test_any_variable_is_read(name: str, value: str) -> None:
    """No variable, whatever its name and text, makes reading fail."""
    environment.read({f"BRIDGE_{name}": value}, {})


def test_every_key_has_a_variable() -> None:
    """The variable of every key leads back to the key."""
    for path in all_paths():
        name = environment.variable(path)
        assert path == tuple(
            "NAME" if part == "name" and "NAME" in path[at] else part
            for at, part in enumerate(environment.read({name: "x"}, {}).sources.popitem()[0])
        )


def test_every_key_has_a_type() -> None:
    """The path of every key leads to a field of the settings."""
    assert [] == [path for path in all_paths() if annotation_at(path) is None]
    assert ("server", "port") in all_paths()
    assert "agents" in Settings.model_fields


def test_tables_are_laid_under_their_keys() -> None:
    """A variable for a table and one for a key in it make one table, whichever comes first."""
    environ = {"BRIDGE_TAPE__RECORD": "true", "BRIDGE_TAPE": '{"record": false, "audio": false}'}

    assert {"tape": {"record": True, "audio": False}} == environment.read(environ, {}).tree


def test_layers_replace_values_and_keep_tables() -> None:
    """A layer over another replaces values, merges tables, and leaves both as they were."""
    under: Json = {"a": {"x": 1, "y": 2}, "b": 3, "key_file": "f"}
    over: Json = {"a": {"y": 5}, "b": {"z": 4}, "key": "k"}

    assert {"a": {"x": 1, "y": 5}, "b": {"z": 4}, "key": "k"} == environment.merged(under, over)
    assert {"a": {"x": 1, "y": 2}, "b": 3, "key_file": "f"} == under


def _at(tree: object, path: tuple[str, ...]) -> object:
    for part in path:
        tree = tree[part] if isinstance(tree, dict) else None
    return tree
