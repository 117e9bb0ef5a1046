"""REST requests of the twilio library over httpx, and the one way in which they fail.

The library's own clients hold either a thread for each request or an aiohttp session; its `Client` takes any object
with their two members, so a request is awaited, bounded and cancelled like everything else. Refusals are raised here,
in one place, because the library raises three different things for them.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
from twilio.http.response import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

_GONE_CODES = frozenset({20404, 21220})  # no such resource; the call is not in progress
_SERVER_ERROR = HTTPStatus.INTERNAL_SERVER_ERROR
_LONG_NUMBER = re.compile(r"\+?[0-9]{7,}")


class CallRefusedError(Exception):
    """Twilio refused a request, or could not be reached.

    Args:
        message: why, without phone numbers.
        status: the HTTP status; None when there was no answer.
        code: Twilio's error code (`docs/api/errors`); None when it gave none.
        executed: False when Twilio certainly has not acted on the request, so that it may be sent again.
    """

    def __init__(
        self, message: str, *, status: int | None = None, code: int | None = None, executed: bool = True
    ) -> None:
        self.message = message
        self.status = status
        self.code = code
        self.executed = executed
        facts = f" (HTTP {status}, code {code})" if status is not None else ""
        super().__init__(f"Twilio: {message}{facts}")

    @property
    def gone(self) -> bool:
        """Whether the call has ended or was never there, which is no fault when it is being ended."""
        return self.status == HTTPStatus.NOT_FOUND or self.code in _GONE_CODES

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self.status is None or self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= _SERVER_ERROR


class Transport:
    """The two members that the library wants of an asynchronous HTTP client."""

    is_async = True

    def __init__(self, *, direct: bool) -> None:
        # A proxy of the environment is not asked for this machine's own address.
        self._http = httpx.AsyncClient(timeout=None, trust_env=not direct)  # noqa: S113 - CallControl bounds requests

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def request(  # noqa: PLR0917 - the library's signature, like the rest of it
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        allow_redirects: bool = False,  # noqa: FBT001, FBT002
    ) -> Response:
        """Send one request.

        Raises:
            CallRefusedError: it failed, or was answered with anything but success and a JSON object.
        """
        try:
            answer = await self._http.request(
                method, url, params=params, data=data, headers=headers, auth=auth, follow_redirects=allow_redirects
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise CallRefusedError(f"could not be reached: {type(error).__name__}.", executed=False) from error
        except httpx.HTTPError as error:
            raise CallRefusedError(f"the connection failed: {type(error).__name__}.") from error
        body = _json_object(answer)
        if body is None or not answer.is_success:
            raise _refusal(answer.status_code, body or {})
        return Response(answer.status_code, answer.text, answer.headers)


def _json_object(answer: httpx.Response) -> dict[str, object] | None:
    try:
        body = json.loads(answer.content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _refusal(status: int, body: dict[str, object]) -> CallRefusedError:
    code = body.get("code")
    message = body.get("message") or body.get("title") or "the answer was not understood"
    return CallRefusedError(
        _LONG_NUMBER.sub("…", str(message)),
        status=status,
        code=code if isinstance(code, int) else None,
        executed=status != HTTPStatus.TOO_MANY_REQUESTS,
    )
