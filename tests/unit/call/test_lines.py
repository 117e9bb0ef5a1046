"""When a line is open, and whom it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.call.lines import BlockList, Hours, is_withheld

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 11, 16, tzinfo=BERLIN)


def at(day: str, time: str) -> datetime:
    """That day and time in the week of Monday, 16 November 2026, in Berlin."""
    hour, minute = time.split(":")
    return MONDAY.replace(
        day=16 + ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su").index(day), hour=int(hour), minute=int(minute)
    )


@pytest.mark.parametrize(
    ("hours", "day", "time", "is_open"),
    [
        ("Mo-Fr 08:00-18:00", "Mo", "07:59", False),
        ("Mo-Fr 08:00-18:00", "Mo", "08:00", True),
        ("Mo-Fr 08:00-18:00", "Fr", "17:59", True),
        ("Mo-Fr 08:00-18:00", "Fr", "18:00", False),
        ("Mo-Fr 08:00-18:00", "Sa", "12:00", False),
        ("Mo-We,Fr,Su 08:00-18:00", "Th", "12:00", False),
        ("Mo-We,Fr,Su 08:00-18:00", "Su", "12:00", True),
        ("Fr-Mo 08:00-18:00", "Su", "12:00", True),
        ("Fr-Mo 08:00-18:00", "Tu", "12:00", False),
        ("Mo 08:00-12:00,13:00-18:00", "Mo", "12:30", False),
        ("Mo 08:00-12:00, 13:00-18:00", "Mo", "13:00", True),
        ("Mo - Fr 08:00 - 18:00", "We", "12:00", True),
        ("Mo-Fr 08:00-18:00; Sa 09:00-13:00", "Sa", "12:59", True),
        ("Mo-Su 08:00-18:00; We off", "We", "12:00", False),
        ("08:00-18:00;We 10:00-11:00", "We", "09:00", False),
        ("08:00-18:00", "Su", "09:00", True),
        ("Sa 22:00-02:00", "Sa", "23:00", True),
        ("Sa 22:00-02:00", "Su", "01:59", True),
        ("Sa 22:00-02:00", "Su", "02:00", False),
        ("Sa 22:00-02:00", "Sa", "01:00", False),
        ("Su 22:00-02:00", "Mo", "01:00", True),
        ("Sa 22:00-02:00; Su off", "Su", "01:00", True),
        ("Mo 00:00-24:00", "Mo", "23:59", True),
        ("Mo 00:00-24:00", "Tu", "00:00", False),
        ("Mo 22:00-00:00", "Mo", "23:59", True),
        ("Mo 22:00-00:00", "Tu", "00:00", False),
        ("24/7; Su off", "Su", "12:00", False),
        ("24/7; Su off", "Mo", "03:00", True),
        ("off", "Mo", "12:00", False),
    ],
)
def test_line_is_open_as_its_hours_say(hours: str, day: str, time: str, *, is_open: bool) -> None:
    """Ranges and lists of days, several rules, pauses, nights and days off."""
    assert is_open == Hours.parse(f"{hours} Europe/Berlin").is_open(at(day, time))


@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_line_that_is_always_open_needs_no_zone(moment: datetime) -> None:
    """24/7 means every minute, everywhere."""
    assert Hours.parse("24/7").is_open(moment)


def test_hours_are_those_of_the_lines_zone() -> None:
    """A moment counts by the clocks of the line's zone, wherever it was read."""
    hours = Hours.parse("Mo-Fr 08:00-18:00 America/New_York")

    assert hours.is_open(at("Mo", "14:00"))
    assert not hours.is_open(at("Mo", "13:59"))


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (datetime(2026, 3, 27, 7, 30, tzinfo=UTC), True),  # 08:30 by winter time
        (datetime(2026, 3, 27, 6, 30, tzinfo=UTC), False),
        (datetime(2026, 3, 30, 6, 30, tzinfo=UTC), True),  # 08:30 by summer time
        (datetime(2026, 3, 30, 16, 30, tzinfo=UTC), False),  # 18:30
        (datetime(2026, 10, 26, 16, 30, tzinfo=UTC), True),  # 17:30, winter time again
    ],
)
def test_hours_follow_summer_time(moment: datetime, *, is_open: bool) -> None:
    """Eight o'clock is eight o'clock on both sides of a change."""
    assert is_open == Hours.parse("Mo-Fr 08:00-18:00 Europe/Berlin").is_open(moment)


def test_night_of_the_change_is_neither_lost_nor_doubled() -> None:
    """From 22:00 to 04:00 is five hours in March and seven in October."""
    hours = Hours.parse("Sa 22:00-04:00 Europe/Berlin")

    def open_minutes(start: datetime) -> int:
        return sum(hours.is_open(start + timedelta(minutes=minute)) for minute in range(24 * 60))

    assert 5 * 60 == open_minutes(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert 7 * 60 == open_minutes(datetime(2026, 10, 24, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "end with a time zone"),
        ("Mo-Fr 08:00-18:00", "end with a time zone"),
        ("Mo-Fr 08:00-18:00 Berlin", "end with a time zone"),
        ("Mo-Fr 08:00-18:00 Europe", "end with a time zone"),
        ("Mo-Fr 08:00-18:00 ../../etc/passwd", "end with a time zone"),
        ("Europe/Berlin", "read like"),
        ("Mo-Fr Europe/Berlin", "read like"),
        ("Mo-Fr 08:00-18:00; Europe/Berlin", "read like"),
        ("PH off Europe/Berlin", "holidays"),
        ("Mo-Fr,PH 08:00-18:00 Europe/Berlin", "holidays"),
        ("Mon 08:00-18:00 Europe/Berlin", "A day is one of"),
        ("Mo- 08:00-18:00 Europe/Berlin", "read like"),
        ("Mo-We-Fr 08:00-18:00 Europe/Berlin", "A day is one of"),
        ("mo 08:00-18:00 Europe/Berlin", "A day is one of"),
        ("Mo 8:00-18:00 Europe/Berlin", "A span of time"),
        ("Mo 08:00-25:00 Europe/Berlin", "A span of time"),
        ("Mo 08:00-24:30 Europe/Berlin", "A span of time"),
        ("Mo 24:00-02:00 Europe/Berlin", "A span of time"),
        ("Mo 08:60-18:00 Europe/Berlin", "A span of time"),
        ("Mo 08:00 Europe/Berlin", "A span of time"),
        ("Mo 08:00-12:00, Tu 08:00-12:00 Europe/Berlin", "read like"),
        ("Mo 08:00-08:00 Europe/Berlin", "is empty"),
    ],
)
def test_odd_hours_are_refused_with_the_way_out(text: str, message: str) -> None:
    """The operator is told what is wrong and how it reads right."""
    with pytest.raises(ValueError, match=message):
        Hours.parse(text)


@given(text=st.text("MoTuFr0123456789:-,; /off247EuropBlin", max_size=40))
def test_no_text_makes_hours_raise_anything_else(text: str) -> None:
    """Hours are read or refused."""
    try:
        hours = Hours.parse(text)
    except ValueError:
        return
    assert hours.is_open(MONDAY) in {True, False}


def test_moment_without_zone_is_refused() -> None:
    """A moment that could be anywhere is our own fault."""
    with pytest.raises(ValueError, match="time zone"):
        Hours.parse("24/7").is_open(datetime(2026, 11, 16))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    "caller",
    [
        "",
        " ",
        "anonymous",
        "Anonymous",
        "ANONYMOUS",
        "unknown",
        "Restricted",
        "unavailable",
        "+266696687",
        "266696687",
        "+7378742833",
        "+2562533",
        "+8656696",
        "+86282452253",
        "+464",
        "sip:anonymous@anonymous.invalid",
        "sips:Anonymous@192.0.2.1:5061",
    ],
)
def test_withheld_number_is_blocked_as_anonymous(caller: str) -> None:
    """Every spelling of a caller who shows no number."""
    assert is_withheld(caller)
    assert BlockList.parse(["anonymous"]).blocks(caller)
    assert not BlockList.parse(["+1*", "+2*"]).blocks(caller)


@pytest.mark.parametrize(
    ("caller", "is_blocked"),
    [
        ("+15551234567", True),
        ("+15551234568", False),
        ("+155512345670", False),
        ("+19005550000", True),
        ("+1900", True),
        ("+190", False),
        ("sip:anna@Example.com", True),
        ("sip:bob@spam.example.com", True),
        ("client:anna", False),
        ("anonymous", False),
    ],
)
def test_caller_is_blocked_exactly_or_by_beginning(caller: str, *, is_blocked: bool) -> None:
    """A whole number blocks only itself, a star everything that begins so."""
    block = BlockList.parse(["+15551234567", "+1900*", "sip:ANNA@example.com", "sip:bob@*"])

    assert is_blocked == block.blocks(caller)


def test_empty_list_blocks_nobody() -> None:
    """Without entries everybody may call, withheld or not."""
    assert not BlockList.parse([]).blocks("+15551234567")
    assert not BlockList().blocks("anonymous")


@pytest.mark.parametrize(
    "entry", ["", "*", "+*", "15551234567", "+1 555 1234567", "+1*5", "anonymus", "+1555…", "sip:"]
)
def test_odd_entry_is_refused_with_the_way_out(entry: str) -> None:
    """A slip of the pen must not open or close the line to everybody."""
    with pytest.raises(ValueError, match="A blocked caller is"):
        BlockList.parse([entry])
