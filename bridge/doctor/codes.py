"""Twilio's error codes that concern a voice bot: what each means here, and what to do.

Source: Twilio `docs/api/errors/<code>`.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """What a code means, and the way out."""

    meaning: str
    way_out: str


_NUMBERS = "voicebridge number list shows whom the numbers ask, voicebridge number point lets them ask this bridge"
_SLOW = "see doctor's public address and the bridge's log (webhook.failed): before_call functions take of the 15 s"

CODES: dict[int, Code] = {
    10004: Code("the account's limit of calls at once is reached", "raise it with Twilio, or lower limits.max_calls"),
    11100: Code("an address that a number or a document names is not one", _NUMBERS),
    11200: Code(
        "a webhook could not be fetched",
        "see that the bridge runs and doctor's certificate and public address are fine",
    ),
    11205: Code("a webhook was not answered within 15 s, or not connected to within 10 s", _SLOW),
    11206: Code("the answer to a webhook was no HTTP", "see what lies between: a port that speaks something else"),
    11210: Code("the host of a webhook has no address", "add it to the DNS, or correct server.public_url"),
    11215: Code("a webhook was redirected too often", "set server.public_url to where it leads in the end"),
    11217: Code(
        "a webhook was answered with an HTTP error",
        "403: signatures, see doctor's public address; 5xx: the proxy, or the bridge's log",
    ),
    11220: Code("the TLS handshake of a webhook failed", "see doctor's certificate"),
    11235: Code("the certificate is for another host", "get one for the host of server.public_url"),
    11236: Code("the certificate has expired", "renew it, and see why that did not happen by itself"),
    11237: Code(
        "the certificate is not trusted, or its chain is not whole",
        "serve the whole chain (fullchain.pem) of a public authority; doctor's certificate tells",
    ),
    11750: Code("an answer is longer than 64 kB", "something between answers with a page of its own"),
    12100: Code(
        "an answer was no XML",
        "something between answers with a page of its own, or a template of [twiml] is not XML",
    ),
    12200: Code(
        "a document has something that TwiML does not know",
        "see the fallback that is hosted elsewhere: print it anew with config show --fallback-twiml",
    ),
    12300: Code(
        "an answer was not of type text/xml",
        "something between answers with a page of its own; a fallback hosted elsewhere must be served as text/xml",
    ),
    13214: Code(
        "a transfer shows a number that the account may not show",
        "set destinations.*.caller_id to a number of the account or a verified one, or leave it out",
    ),
    13223: Code("a transfer goes to a number that is none", "write destinations.*.to in E.164 form"),
    13224: Code("a transfer goes to a number that does not exist", "correct destinations.*.to"),
    13225: Code(
        "a transfer goes to a number that may not be called",
        "Twilio's console, Voice, Geo permissions; doctor's destinations tells which",
    ),
    13227: Code("a transfer goes to a country that may not be called", "allow it: Voice, Geo permissions"),
    13520: Code("a text to be spoken is wrong", "see fallback.say and destinations.*.announce"),
    15003: Code(
        "a status callback was answered with an error", "see the bridge's log: request.refused, webhook.failed"
    ),
    20003: Code("the credentials are not taken", "twilio.auth_token must be the account's auth token, not an API key"),
    20404: Code("there is no such resource", "a call that is over; else see twilio.account_sid and twilio.api_url"),
    20429: Code("too many requests by REST", "several programs share the account: slow down the others"),
    21210: Code("a call goes out under a number that is not verified", "use a number of the account"),
    21211: Code("a call goes out to a number that is none", "write it in E.164 form"),
    21215: Code("a call goes out to a country that may not be called", "allow it: Voice, Geo permissions"),
    21219: Code("a trial account may call verified numbers only", "verify it, or upgrade the account"),
    21220: Code("a call that was over was to be changed", "nothing, now and then: the caller was faster"),
    31901: Code(
        "the media stream's host did not answer in time", "open port 443 to the Internet: Twilio has no fixed addresses"
    ),
    31902: Code("the media stream's connection was refused", "start the bridge, and see the port of server.public_url"),
    31903: Code(
        "the media stream's connection broke",
        "see doctor's idle connection: a proxy's timeout; or the bridge was restarted in a call",
    ),
    31910: Code("the media stream's TLS failed", "see doctor's certificate"),
    31920: Code(
        "the media stream's handshake was not answered with 101",
        "doctor's media stream tells why: no WebSockets through the proxy, another path, a wrong signature",
    ),
    31921: Code(
        "the bridge closed the media stream",
        "nothing: that is how a call leaves its stream. If callers are cut, look for the call's ending in the log",
    ),
    31922: Code(
        "the media stream's address does not begin with wss://", "set server.public_url to an https:// address"
    ),
    31923: Code("the media stream's address is malformed", "correct server.public_url and server.media_url"),
    31924: Code(
        "a message on the media stream broke the WebSocket protocol",
        "see what lies between: it may change or split frames; without it, please report this",
    ),
    31931: Code("more than ten minutes of sound waited to be played", "limit the model: max_output_tokens"),
    31941: Code(
        "a document asks for a track that <Connect> cannot give", "the bridge's own never does: see what else answers"
    ),
    31950: Code("a binary message came on the media stream", "see what lies between; without it, please report this"),
    31951: Code(
        "a message on the media stream was not of Twilio's form",
        "now and then right after a stream has ended, nothing; often: another program answers, or please report this",
    ),
    32011: Code("a SIP destination could not be reached", "see destinations.*.to, and who may call that SIP domain"),
}


def explain(code: int) -> str:
    """A code as a text for people, with Twilio's own page."""
    page = f"https://www.twilio.com/docs/api/errors/{code}"
    found = CODES.get(code)
    if found is None:
        return f"{code}: not one that a voice bot is known to meet; see {page}"
    return f"{code}: {found.meaning}.\n  do: {found.way_out}.\n  see: {page}"
