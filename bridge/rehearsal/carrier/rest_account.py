"""The part of the REST interface that is about the account: its numbers, alerts and permissions.

Sources: Twilio `docs/phone-numbers/api/incomingphonenumber-resource`, `docs/usage/monitor-alert`,
`docs/voice/api/dialingpermissions-country-resource`, and the errors 11100, 20404, 21403 and 21405.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from quart import request

from bridge.rehearsal.carrier.call import API_VERSION
from bridge.rehearsal.carrier.records import iso8601_now, rfc2822_now
from bridge.rehearsal.carrier.rest_resources import RestError

if TYPE_CHECKING:
    from quart import Quart
    from werkzeug.datastructures import MultiDict

    from bridge.rehearsal.carrier.account import OwnNumber, Permission
    from bridge.rehearsal.carrier.carrier import Carrier
    from bridge.rehearsal.carrier.records import Notice
    from bridge.rehearsal.carrier.rest_resources import Resource

_BASE = f"/{API_VERSION}/Accounts/<account>"
_PAGE, _PAGE_MAX = 50, 1000
_URLS = {"VoiceUrl": "voice_url", "VoiceFallbackUrl": "voice_fallback_url", "StatusCallback": "status_callback"}
_METHODS = {
    "VoiceMethod": "voice_method",
    "VoiceFallbackMethod": "voice_fallback_method",
    "StatusCallbackMethod": "status_callback_method",
}


class AccountInterface:
    """Serves one carrier's account."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def attach(self, app: Quart) -> None:
        """Add the routes."""
        for path, methods, view in (
            (f"{_BASE}.json", ["GET"], self._fetch_account),
            (f"{_BASE}/IncomingPhoneNumbers.json", ["GET"], self._list_numbers),
            (f"{_BASE}/IncomingPhoneNumbers/<sid>.json", ["GET"], self._fetch_number),
            (f"{_BASE}/IncomingPhoneNumbers/<sid>.json", ["POST"], self._update_number),
            (f"{_BASE}/OutgoingCallerIds.json", ["GET"], self._list_caller_ids),
            ("/v1/Alerts", ["GET"], self._list_alerts),
            ("/v1/DialingPermissions/Countries", ["GET"], self._list_countries),
        ):
            app.add_url_rule(path, view.__name__.lstrip("_"), view, methods=methods)

    async def _fetch_account(self, account: str) -> Resource:
        self._mine(account)
        book = self._carrier.account
        return {"sid": account, "friendly_name": "Rehearsal", "status": book.status, "type": book.kind}

    async def _list_numbers(self, account: str) -> Resource:
        self._mine(account)
        wanted = request.args.get("PhoneNumber")
        found = [one for one in self._carrier.account.numbers.values() if wanted in (None, one.phone_number)]
        return _page("incoming_phone_numbers", [_number(one, account) for one in found])

    async def _fetch_number(self, account: str, sid: str) -> Resource:
        return _number(self._number(account, sid), account)

    async def _update_number(self, account: str, sid: str) -> Resource:
        number = self._number(account, sid)
        form: MultiDict[str, str] = await request.form
        _check(number, form)
        for name, key in (_URLS | _METHODS).items():
            if name in form:
                setattr(number, key, form[name])
        if "VoiceApplicationSid" in form:
            number.voice_application_sid = form["VoiceApplicationSid"]
        if form.get("VoiceApplicationSid"):
            number.trunk_sid = ""
        return _number(number, account)

    async def _list_caller_ids(self, account: str) -> Resource:
        self._mine(account)
        return _page("outgoing_caller_ids", [{"phone_number": one} for one in self._carrier.account.verified])

    async def _list_alerts(self) -> Resource:
        self._products()
        return _meta("alerts", [_alert(one, self._carrier.account_sid) for one in reversed(self._carrier.warnings)])

    async def _list_countries(self) -> Resource:
        self._products()
        return _meta("content", [_country(one) for one in self._carrier.account.countries])

    def _number(self, account: str, sid: str) -> OwnNumber:
        self._mine(account)
        found = next((one for one in self._carrier.account.numbers.values() if one.sid == sid), None)
        if found is None:
            raise RestError(404, 20404, f"The requested resource /IncomingPhoneNumbers/{sid}.json was not found")
        return found

    def _mine(self, account: str) -> None:
        if account != self._carrier.account_sid:
            raise RestError(404, 20404, f"The requested resource /Accounts/{account} was not found")

    def _products(self) -> None:
        if not self._carrier.account.products:
            raise RestError(403, 20403, "This account is not allowed to ask for that")


def _check(number: OwnNumber, form: MultiDict[str, str]) -> None:
    for name in _URLS:
        parts = urlsplit(form.get(name, ""))
        if form.get(name) and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise RestError(400, 11100, f"{name} is not a valid URL")
    for name in _METHODS:
        if form.get(name, "POST") not in {"GET", "POST"}:
            raise RestError(400, 21403, f"{name} must be GET or POST")
    if form.get("VoiceFallbackUrl") and not form.get("VoiceUrl", number.voice_url):
        raise RestError(400, 21405, "Cannot set VoiceFallbackUrl without setting Url")


def _number(number: OwnNumber, account: str) -> Resource:
    uri = f"/{API_VERSION}/Accounts/{account}/IncomingPhoneNumbers/{number.sid}.json"
    return {
        "sid": number.sid,
        "account_sid": account,
        "phone_number": number.phone_number,
        "friendly_name": number.name,
        "capabilities": {"voice": number.takes_calls, "sms": True, "mms": False, "fax": False},
        **{key: getattr(number, key) for key in (*_URLS.values(), *_METHODS.values())},
        "voice_application_sid": number.voice_application_sid or None,
        "trunk_sid": number.trunk_sid or None,
        "date_created": rfc2822_now(),
        "date_updated": rfc2822_now(),
        "uri": uri,
    }


def _alert(notice: Notice, account: str) -> Resource:
    return {
        "account_sid": account,
        "error_code": str(notice.code),
        "log_level": "error",
        "alert_text": notice.text,
        "date_generated": iso8601_now(),
    }


def _country(permission: Permission) -> Resource:
    return {
        "iso_code": permission.iso_code,
        "name": permission.name,
        "country_codes": list(permission.prefixes),
        "low_risk_numbers_enabled": permission.is_allowed,
        "high_risk_special_numbers_enabled": False,
        "high_risk_tollfraud_numbers_enabled": False,
    }


def _page(key: str, resources: list[Resource]) -> Resource:
    """A page of a list of telephony, which names the next by its path."""
    part, size, number = _part(resources)
    following = f"{request.path}?{_query(size, number + 1)}" if len(resources) > (number + 1) * size else None
    return {key: part, "page": number, "page_size": size, "next_page_uri": following, "uri": request.path}


def _meta(key: str, resources: list[Resource]) -> Resource:
    """A page of a list of another product, which names the next by its whole address."""
    part, size, number = _part(resources)
    following = f"{request.base_url}?{_query(size, number + 1)}" if len(resources) > (number + 1) * size else None
    return {key: part, "meta": {"key": key, "page": number, "page_size": size, "next_page_url": following}}


def _part(resources: list[Resource]) -> tuple[list[Resource], int, int]:
    size = min(request.args.get("PageSize", _PAGE, type=int), _PAGE_MAX)
    number = request.args.get("Page", 0, type=int)
    return resources[number * size : (number + 1) * size], size, number


def _query(size: int, number: int) -> str:
    return urlencode({**request.args.to_dict(), "PageSize": size, "Page": number})
