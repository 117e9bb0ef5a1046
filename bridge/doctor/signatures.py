"""Whether signatures are checked rightly for these addresses: signed by Twilio's library, checked by the bridge's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twilio.request_validator import RequestValidator

from bridge.doctor.findings import Finding, failed, ok, skipped
from twiml.signature import Validator

if TYPE_CHECKING:
    from bridge.doctor.context import Context

_FORM = {"CallSid": "CA" + "0" * 32, "From": "+15550100001", "To": "+15551230000", "Empty": "", "Text": "a+b c"}


def signed(auth_token: str, url: str, form: dict[str, str] | None = None) -> str:
    """The signature that Twilio would make."""
    return str(RequestValidator(auth_token).compute_signature(url, form or {}))


async def self_test(context: Context) -> list[Finding]:
    """A webhook over https and a handshake over wss, each as it should be and each with a bit changed."""
    server, token = context.settings.server, context.auth_token
    if not token or not server.public_url:
        return [skipped("there is no auth token and no public address: only rehearsed calls are taken")]
    validator = Validator([token], server.public_url, server.media_url)
    target = "/twiml/answer?a=%7e&b="
    webhook = signed(token, server.public_url.rstrip("/") + target, _FORM)
    media = (server.media_url or "wss://" + server.public_url.partition("://")[2]).rstrip("/").replace("{worker}", "0")
    handshake = signed(token, f"{media}/media")
    results = {
        "https": bool(validator.check_webhook(target, _FORM, signature=webhook)),
        "wss": bool(validator.check_handshake("/media", signature=handshake)),
        "forged https": not validator.check_webhook(target, {**_FORM, "To": ""}, signature=webhook),
        "forged wss": not validator.check_handshake("/media", signature=handshake.swapcase()),
    }
    if wrong := [name for name, is_right in results.items() if not is_right]:
        return [failed(f"a signature is not judged rightly: {', '.join(wrong)}", "please report this")]
    return [ok("signatures hold over https and wss, and forged ones do not")]
