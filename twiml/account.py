"""What we ask of Twilio by REST about the account: its numbers and whom they ask, where it may call, what went wrong.

Source: Twilio `docs/phone-numbers/api/incomingphonenumber-resource`, `docs/usage/monitor-alert`,
`docs/voice/api/dialingpermissions-country-resource`, and the resources of the `twilio` package 9.13.0.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from twiml.transport import CallRefusedError, Transport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from types import TracebackType

    from twiml.ports import Clock

_CONCURRENT_MAX = 16  # Twilio answers 429 to an account that asks too much at once
_RETRY_PAUSE_S = 0.3
_NUMBERS_MAX = 10_000
_ALERTS_MAX = 1_000
_COUNTRIES_MAX = 1_000
_PAGE_MAX = 1_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Account:
    """The account that the credentials belong to."""

    sid: str
    name: str
    status: str
    """`active`, `suspended` or `closed`."""
    kind: str
    """`Trial` or `Full`."""


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number of the account, and whom Twilio asks when it is called."""

    sid: str
    phone_number: str
    voice_url: str
    fallback_url: str
    status_callback: str
    voice_application_sid: str
    """When set, Twilio asks that application and not `voice_url`."""
    trunk_sid: str
    """When set, calls go to a SIP trunk and nobody is asked."""
    name: str = ""
    voice_method: str = "POST"
    fallback_method: str = "POST"
    status_callback_method: str = "POST"
    takes_calls: bool = True
    """False: it is for messages only."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An error or a warning that Twilio has logged; without the text, which may hold numbers."""

    code: int
    level: str
    """`error` or `warning`."""


@dataclass(frozen=True, slots=True)
class Country:
    """Whether the account may call a country."""

    name: str
    prefixes: tuple[str, ...]
    """What its numbers begin with, `+44`; several countries may share one."""
    is_allowed: bool
    """Whether ordinary numbers may be called; those that fraud prefers are another matter."""


class AccountControl:
    """The account. Every method raises CallRefusedError; close it with `async with` or `aclose`.

    Args:
        account_sid: `AC…`.
        auth_token: its token, or `(API key SID, secret)`.
        api_url: Twilio's, a region's, or a rehearsal's.
        clock: bounds every request.
        limit_s: how long a request may take, the second attempt and waiting for a free slot included.
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str | tuple[str, str],
        *,
        api_url: str = "https://api.twilio.com",
        clock: Clock,
        limit_s: float = 8.0,
    ) -> None:
        username, password = (account_sid, auth_token) if isinstance(auth_token, str) else auth_token
        self._transport = Transport(direct=urlsplit(api_url).hostname in {"127.0.0.1", "::1", "localhost"})
        # An empty TWILIO_REGION: the client would rewrite the host of api_url from the environment.
        self._client = Client(
            username, password, account_sid, http_client=self._transport, environment={"TWILIO_REGION": ""}
        )
        self._client.api.base_url = api_url
        self._client.monitor.base_url = _product(api_url, "monitor")
        self._client.voice.base_url = _product(api_url, "voice")
        self._clock = clock
        self._limit_s = limit_s
        self._slots = asyncio.Semaphore(_CONCURRENT_MAX)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections to Twilio."""
        await self._transport.aclose()

    def renew(self, auth_token: str) -> None:
        """Use another token of the account from now on."""
        self._client.password = auth_token
        self._client.auth = (self._client.username, auth_token)

    async def account(self) -> Account:
        """The account, which also shows that the credentials are right."""
        found = await self._ask(lambda: self._client.api.accounts(self._client.account_sid).fetch_async())
        return Account(found.sid, found.friendly_name, found.status, found.type)

    async def numbers(self) -> list[Number]:
        """The account's phone numbers."""
        # Not filtered by Twilio: a phone number in a query would end up in logs.
        found = await self._ask(lambda: self._client.incoming_phone_numbers.list_async(limit=_NUMBERS_MAX))
        return [_number(one) for one in found]

    async def point_number(self, sid: str, *, voice_url: str, fallback_url: str, status_callback: str) -> Number:
        """Let Twilio ask these URLs when the number is called; an application that stood in the way is taken off."""
        changed = await self._ask(
            lambda: self._client.incoming_phone_numbers(sid).update_async(
                voice_url=voice_url,
                voice_method="POST",
                voice_fallback_url=fallback_url,
                voice_fallback_method="POST",
                status_callback=status_callback,
                status_callback_method="POST",
                voice_application_sid="",
            )
        )
        return _number(changed)

    async def verified_numbers(self) -> list[str]:
        """Numbers of others that may be shown as caller's, since their owners have agreed."""
        found = await self._ask(lambda: self._client.outgoing_caller_ids.list_async(limit=_NUMBERS_MAX))
        return [_text(one, "phone_number") for one in found]

    async def alerts(self, since: datetime) -> list[Alert]:
        """What Twilio has logged since, the newest first, at most a thousand."""
        found = await self._ask(
            lambda: self._client.monitor.v1.alerts.list_async(
                start_date=since, limit=_ALERTS_MAX, page_size=_ALERTS_MAX
            )
        )
        return [
            Alert(int(code), _text(one, "log_level")) for one in found if (code := _text(one, "error_code")).isdecimal()
        ]

    async def countries(self) -> list[Country]:
        """Where the account may call."""
        countries = self._client.voice.v1.dialing_permissions.countries
        found = await self._ask(lambda: countries.list_async(limit=_COUNTRIES_MAX, page_size=_PAGE_MAX))
        return [
            Country(_text(one, "name"), tuple(one.country_codes or ()), bool(one.low_risk_numbers_enabled))
            for one in found
        ]

    async def _ask(self, request: Callable[[], Awaitable[_T]], *, repeatable: bool = True) -> _T:
        """Send a request, and once more where that may help and cannot do it twice."""
        try:
            async with self._clock.timeout(self._limit_s), self._slots:
                try:
                    return await request()
                except CallRefusedError as refused:
                    if not refused.passing or (refused.executed and not repeatable):
                        raise
                await self._clock.sleep(_RETRY_PAUSE_S)
                return await request()
        except TimeoutError:
            raise CallRefusedError(f"no answer within {self._limit_s:g} s.") from None
        except TwilioException as error:
            raise CallRefusedError(f"the answer was not understood: {type(error).__name__}.") from error


def _product(api_url: str, name: str) -> str:
    """Where another product's interface is: beside `api.`, in the same region; a rehearsal serves all at one address.

    Source: Twilio `docs/global-infrastructure/using-the-twilio-rest-api-in-a-non-us-region`.
    """
    parts = urlsplit(api_url)
    product, _, rest = parts.netloc.partition(".")
    return urlunsplit(parts._replace(netloc=f"{name}.{rest}")) if product == "api" else api_url


def _number(found: object) -> Number:
    capabilities = getattr(found, "capabilities", None)
    return Number(
        sid=_text(found, "sid"),
        phone_number=_text(found, "phone_number"),
        voice_url=_text(found, "voice_url"),
        fallback_url=_text(found, "voice_fallback_url"),
        status_callback=_text(found, "status_callback"),
        voice_application_sid=_text(found, "voice_application_sid"),
        trunk_sid=_text(found, "trunk_sid"),
        name=_text(found, "friendly_name"),
        voice_method=_text(found, "voice_method") or "POST",
        fallback_method=_text(found, "voice_fallback_method") or "POST",
        status_callback_method=_text(found, "status_callback_method") or "POST",
        takes_calls=not isinstance(capabilities, dict) or bool(capabilities.get("voice", True)),
    )


def _text(found: object, name: str) -> str:
    return getattr(found, name, None) or ""
