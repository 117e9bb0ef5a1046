"""Who may connect, to which path, in which dialect: decided on the handshake, before there is a session.

Paths and credentials are those of OpenAI, of Azure's GA interface and of Azure's preview, which speaks beta (protocol
reference, section 2).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bridge.rehearsal.realtime.dialect import DialectName

ServedDialects = Literal["ga", "beta", "both"]

OPENAI_PATH: Final = "/v1/realtime"
_AZURE_PATH: Final = "/openai/v1/realtime"
_AZURE_PREVIEW_PATH: Final = "/openai/realtime"
_KEY_PROTOCOL: Final = "openai-insecure-api-key."
_BETA_PROTOCOL: Final = "openai-beta.realtime-v1"


@dataclass(frozen=True, slots=True)
class Admission:
    """A connection that may be made."""

    model: str
    dialect: DialectName | None
    """None: the client asks for beta, which is disabled here; it is told so on the socket, and closed."""
    deployments: bool
    """Whether model names are the operator's own, as on Azure."""


class Denied(Exception):  # noqa: N818 - it is an answer, not an error
    """A connection that is refused by an HTTP answer.

    Args:
        status: the HTTP status.
        code: the `error.code` of the JSON body.
        message: its `error.message`.
    """

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(message)

    def body(self) -> dict[str, object]:
        """Return the JSON body of the answer."""
        error = {"message": self.message, "type": "invalid_request_error", "param": None, "code": self.code}
        return {"error": error}


@dataclass(frozen=True, slots=True)
class Door:
    """What the server asks of those who connect."""

    dialects: ServedDialects
    api_key: str | None
    """None: any key, or none at all."""
    models: Collection[str]
    """The models there are; empty: any."""

    def admit(self, target: str, headers: Mapping[str, str], protocols: Sequence[str]) -> Admission:
        """Judge a handshake.

        Args:
            target: path and query of the request.
            headers: its headers; names in any case.
            protocols: the WebSocket subprotocols it offers, by which browsers give their key.

        Raises:
            Denied: it is refused.
        """
        split = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        is_preview = split.path == _AZURE_PREVIEW_PATH
        if split.path not in (OPENAI_PATH, _AZURE_PATH, _AZURE_PREVIEW_PATH) or (is_preview and self.dialects == "ga"):
            raise Denied(HTTPStatus.NOT_FOUND, "not_found", f"There is no Realtime interface at {split.path}.")
        self._check_key(headers, query if split.path != OPENAI_PATH else {}, protocols)
        return Admission(
            model=self._model(query, "deployment" if is_preview else "model", is_preview=is_preview),
            dialect=self._dialect(headers, protocols, is_preview=is_preview),
            deployments=split.path != OPENAI_PATH,
        )

    def _check_key(self, headers: Mapping[str, str], query: Mapping[str, str], protocols: Sequence[str]) -> None:
        if self.api_key is None:
            return
        given = [headers.get("api-key", ""), query.get("api-key", "")]
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            given.append(token.strip())
        given += [name.removeprefix(_KEY_PROTOCOL) for name in protocols if name.startswith(_KEY_PROTOCOL)]
        if not any(given):
            raise Denied(HTTPStatus.UNAUTHORIZED, "missing_api_key", "You didn't provide an API key.")
        if not any(hmac.compare_digest(key.encode(), self.api_key.encode()) for key in given):
            raise Denied(HTTPStatus.UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided.")

    def _model(self, query: Mapping[str, str], name: str, *, is_preview: bool) -> str:
        if is_preview and "api-version" not in query:
            raise Denied(HTTPStatus.BAD_REQUEST, "missing_required_parameter", "The query needs an 'api-version'.")
        model = query.get(name)
        if model is None:
            raise Denied(HTTPStatus.BAD_REQUEST, "missing_required_parameter", f"The query needs a '{name}'.")
        if self.models and model not in self.models:
            raise Denied(HTTPStatus.NOT_FOUND, "model_not_found", f"The model '{model}' does not exist.")
        return model

    def _dialect(self, headers: Mapping[str, str], protocols: Sequence[str], *, is_preview: bool) -> DialectName | None:
        wants_beta = is_preview or "realtime=v1" in headers.get("OpenAI-Beta", "") or _BETA_PROTOCOL in protocols
        if self.dialects == "beta":
            return "beta"
        if not wants_beta:
            return "ga"
        return "beta" if self.dialects == "both" else None
