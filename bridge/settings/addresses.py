"""The forms of addresses and numbers that settings may have, each with the sentence that refuses another."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr

E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def address(pattern: str, sentence: str) -> AfterValidator:
    """A check that a non-empty text has the form its `sentence` says."""

    def check(text: str) -> str:
        if text and not re.fullmatch(pattern, text):
            raise ValueError(sentence)
        return text

    return AfterValidator(check)


HttpUrl = Annotated[
    str, address(r"https?://[^/?#@\s]+(/[^?#\s]*)?", "is not an address of the form https://HOST[/PATH]")
]
MediaUrl = Annotated[str, address(r"wss://[^/?#@\s]+(/[^?#\s]*)?", "must be of the form wss://HOST[:PORT][/PATH]")]
PhoneNumber = Annotated[str, address(E164.pattern, "is not a phone number in E.164 form, such as +15551230000")]
CallerId = Annotated[
    str, address(rf"{E164.pattern}|client:\S+", "is neither a phone number in E.164 form nor client:NAME")
]
AccountSid = Annotated[str, address(r"AC\S+", "is not an account SID, which begins with AC (a key's SID will not do)")]
Reachable = Annotated[
    str,
    address(
        rf"{E164.pattern}|sips?:\S+|client:\S+|queue:\S+",
        "is none of +NUMBER in E.164 form, sip:USER@HOST, client:NAME and queue:NAME",
    ),
]
StorageUrl = Annotated[SecretStr, AfterValidator(lambda url: scheme(url, "sqlite", "postgresql"))]
SharedUrl = Annotated[SecretStr, AfterValidator(lambda url: scheme(url, "memory", "redis", "rediss"))]


def scheme(url: SecretStr, *schemes: str) -> SecretStr:
    """The address, if it has one of these schemes. Raises ValueError."""
    beginnings = tuple(f"{name}://" for name in schemes)
    if not url.get_secret_value().startswith(beginnings):
        msg = "must begin with " + " or ".join(beginnings)
        raise ValueError(msg)
    return url
