"""The simulated carrier's account: its numbers and whom they ask, where it may call, whose numbers it may show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class OwnNumber:
    """A phone number of the account, as the operator has set it up."""

    phone_number: str
    sid: str
    name: str
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"
    voice_application_sid: str = ""
    trunk_sid: str = ""
    takes_calls: bool = True


@dataclass(slots=True)
class Permission:
    """Whether a country may be called."""

    iso_code: str
    name: str
    prefixes: tuple[str, ...]
    is_allowed: bool = True


def _countries() -> list[Permission]:
    return [
        Permission("US", "United States", ("+1",)),
        Permission("CA", "Canada", ("+1",)),
        Permission("BS", "Bahamas", ("+1242",), is_allowed=False),
        Permission("DE", "Germany", ("+49",)),
        Permission("GB", "United Kingdom", ("+44",)),
        Permission("SH", "Saint Helena", ("+290", "+247"), is_allowed=False),
    ]


@dataclass(slots=True)
class AccountBook:
    """What the carrier knows of the account; a test may change any of it."""

    numbers: dict[str, OwnNumber]
    status: Literal["active", "suspended", "closed"] = "active"
    kind: Literal["Full", "Trial"] = "Full"
    verified: list[str] = field(default_factory=list)
    """Numbers of others that may be shown."""
    countries: list[Permission] = field(default_factory=_countries)
    products: bool = True
    """Whether products beside telephony (alerts, permissions) answer these credentials."""

    @classmethod
    def of(cls, numbers: Iterable[str]) -> AccountBook:
        """An account with these numbers, which ask nobody yet."""
        return cls({one: OwnNumber(one, f"PN{int(one.lstrip('+')):032x}", one) for one in numbers})
