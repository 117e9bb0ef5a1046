"""Who may connect to the embedded server, to which path, in which dialect."""

from __future__ import annotations

import pytest

from bridge.rehearsal.realtime.door import Admission, Denied, Door, ServedDialects

V1 = "/v1/realtime?model=gpt-realtime-2.1"
PREVIEW = "/openai/realtime?api-version=2025-04-01-preview&deployment=mine"
BETA = {"OpenAI-Beta": "realtime=v1"}


def door(dialects: ServedDialects = "ga", api_key: str | None = "sk-local", models: tuple[str, ...] = ()) -> Door:
    """Return a door that asks for a key."""
    return Door(dialects, api_key, models)


@pytest.mark.parametrize(
    ("target", "headers", "protocols"),
    [
        pytest.param(V1, {"Authorization": "Bearer sk-local"}, [], id="bearer token"),
        pytest.param(V1, {"Authorization": "bearer sk-local"}, [], id="scheme in small letters"),
        pytest.param(V1, {"api-key": "sk-local"}, [], id="api-key header"),
        pytest.param(V1, {}, ["realtime", "openai-insecure-api-key.sk-local"], id="browser's subprotocol"),
        pytest.param("/openai/v1/realtime?model=mine&api-key=sk-local", {}, [], id="Azure's query"),
    ],
)
def test_client_enters_with_its_key(target: str, headers: dict[str, str], protocols: list[str]) -> None:
    """The key is taken from everywhere a client of OpenAI or Azure may put it."""
    assert "ga" == door().admit(target, headers, protocols).dialect


@pytest.mark.parametrize(
    ("target", "headers", "status", "code"),
    [
        pytest.param(V1, {}, 401, "missing_api_key", id="no key"),
        pytest.param(V1, {"Authorization": "Bearer sk-other"}, 401, "invalid_api_key", id="another key"),
        pytest.param(V1, {"Authorization": "Basic sk-local"}, 401, "missing_api_key", id="another scheme"),
        pytest.param(V1 + "&api-key=sk-local", {}, 401, "missing_api_key", id="Azure's query at OpenAI"),
        pytest.param("/v1/realtime", {"api-key": "sk-local"}, 400, "missing_required_parameter", id="no model"),
        pytest.param(
            "/openai/v1/realtime?deployment=mine",
            {"api-key": "sk-local"},
            400,
            "missing_required_parameter",
            id="Azure",
        ),
        pytest.param("/v1/live", {"api-key": "sk-local"}, 404, "not_found", id="another path"),
        pytest.param(PREVIEW, {"api-key": "sk-local"}, 404, "not_found", id="a preview that is not served"),
    ],
)
def test_client_is_denied(target: str, headers: dict[str, str], status: int, code: str) -> None:
    """A handshake that cannot lead to a session is answered by HTTP, with a JSON error."""
    with pytest.raises(Denied) as denied:
        door().admit(target, headers, [])

    assert (status, code) == (denied.value.status, denied.value.code)
    assert {"message", "type", "param", "code"} == set(denied.value.body()["error"])  # type: ignore[call-overload]  # JSON


def test_client_is_denied_a_model_that_does_not_exist() -> None:
    """With a list of models another name is `model_not_found`."""
    with pytest.raises(Denied) as denied:
        door(models=("gpt-realtime-2.1",)).admit("/v1/realtime?model=gpt-realtime-9", {"api-key": "sk-local"}, [])

    assert (404, "model_not_found") == (denied.value.status, denied.value.code)


@pytest.mark.parametrize(
    ("dialects", "headers", "protocols", "expected"),
    [
        ("ga", {}, [], "ga"),
        ("ga", BETA, [], None),
        ("ga", {}, ["openai-beta.realtime-v1"], None),
        ("beta", {}, [], "beta"),
        ("beta", BETA, [], "beta"),
        ("both", {}, [], "ga"),
        ("both", BETA, [], "beta"),
        ("both", {}, ["openai-beta.realtime-v1"], "beta"),
    ],
)
def test_header_decides_on_the_dialect(
    dialects: ServedDialects, headers: dict[str, str], protocols: list[str], expected: str | None
) -> None:
    """The beta header is refused by a GA server, taken by one that serves both, and needless for one of beta."""
    assert expected == door(dialects, api_key=None).admit(V1, headers, protocols).dialect


def test_azure_preview_needs_an_api_version() -> None:
    """Without `api-version` Azure's preview is not reached."""
    with pytest.raises(Denied) as denied:
        door("both", api_key=None).admit("/openai/realtime?deployment=mine", {}, [])

    assert 400 == denied.value.status


def test_azure_preview_speaks_beta_and_names_deployments() -> None:
    """Azure's preview path takes `deployment` and speaks beta, where the server does."""
    admission = door("both", api_key=None).admit(PREVIEW, {}, [])

    assert Admission(model="mine", dialect="beta", deployments=True) == admission
