"""Watches calls and notes down what is kept of them. Runs on the event loop and never waits: it only makes rows."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from bridge.records.notes import CarrierRecording, Put
from bridge.records.tables import calls, deliveries, functions, latencies, transfers, turns

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from sqlalchemy import Table

    from bridge.call.actions import Said
    from bridge.edge.driver import Driver
    from bridge.records.notes import Note
    from bridge.settings import Settings

TOKENS = ("text_in", "text_cached_in", "audio_in", "audio_cached_in", "text_out", "audio_out")
MAX_DETAILS = 5_000
"""Rows of one kind and call: some hours of talk. What comes after is counted in `lost`."""
SHOWN_DIGITS = 2
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that a database refuses, and a whole row with them."""


class TakeNote(Protocol):
    """Has a note written, without waiting."""

    def __call__(self, note: Note, *, is_important: bool = False) -> bool:
        """False when it is lost; one that `is_important` is lost last."""


@dataclass
class _Live:
    """What is known of a call so far, as its row has it."""

    row: dict[str, object]
    counts: dict[str, int] = field(default_factory=dict)
    functions: dict[str, dict[str, object]] = field(default_factory=dict)
    """Rows of functions that have not answered, by the model's id of the call."""
    transfer: dict[str, object] | None = None
    """The row of the attempt that is under way."""


class CallRecords:
    """An observer of calls; see the module.

    Args:
        settings: what is kept: words, numbers; and whether somebody is told when a call is over.
        instance: the name of this bridge.
        note: takes a note.

    Attributes:
        lines: the numbers in `[lines]`, as they are now.
        told: called when there is something that the webhook has to tell.
    """

    def __init__(self, settings: Settings, instance: str, note: TakeNote) -> None:
        self.lines: Container[str] = settings.lines
        self.told: Callable[[], object] = lambda: None
        self._settings = settings
        self._instance = instance
        self._note = note
        self._live: dict[str, _Live] = {}
        self._facts: dict[str, Callable[[Driver, _Live, dict[str, object]], None]] = {
            "call.placed": self._changed,
            "call.answered": self._answered,
            "call.ended": self._ended,
            "function.called": self._function_called,
            "function.answered": self._function_answered,
            "transfer.begun": self._transfer_begun,
            "transfer.ended": self._transfer_ended,
            "reply.heard": self._reply_heard,
            "bargein.performed": self._barged_in,
            "session.replaced": self._session_replaced,
            "usage.counted": self._usage_counted,
        }

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """A fact of a call's life."""
        take = self._facts.get(event)
        if take is None:
            return
        call_sid = driver.plan.call_sid
        live = self._live.get(call_sid)
        if live is None:
            if event not in ("call.placed", "call.answered"):
                return
            live = self._live[call_sid] = _Live(self._begin(driver))
        take(driver, live, fields)

    def said(self, driver: Driver, line: Said) -> None:
        """A line of a call's transcript."""
        live = self._live.get(driver.plan.call_sid)
        if live is not None:
            row: dict[str, object] = {
                "role": line.role,
                "words": storable(line.words) if self._settings.records.words else None,
                "at_s": round(line.at - driver.began_at, 3),
                "heard_ms": line.heard_ms,
                "is_cut": line.is_cut,
            }
            self._add(turns, live, row)

    def function_failed(self, fields: dict[str, object]) -> None:
        """A function has no result; told by whoever runs it, before its error is the model's answer."""
        live = self._live.get(str(fields.get("call_sid")))
        row = live.functions.get(str(fields.get("call_id"))) if live is not None else None
        if row is not None:
            row["outcome"] = str(fields["reason"])

    def recording(self, told: CarrierRecording) -> None:
        """The carrier speaks of a recording, perhaps after the call."""
        self._note(told)

    # Facts

    def _begin(self, driver: Driver) -> dict[str, object]:
        info = driver.plan.info
        row: dict[str, object] = {
            "id": uuid.uuid4().hex,
            "call_sid": info.call_sid,
            "instance": self._instance,
            "state": "live",
            "direction": info.direction,
            "from_number": self._number(info.from_number),
            "to_number": self._number(info.to_number),
            "agent": info.agent,
            "line": self._number(info.own_number) if info.own_number in self.lines else "default",
            "began_at": driver.began_on,
            "updated_at": driver.began_on,
        }
        row |= dict.fromkeys(("answered_at", "ended_at", "ending", "reason", "cost"))
        return row | dict.fromkeys(("barge_ins", "sessions_replaced", "lost", *TOKENS), 0)

    def _number(self, number: str) -> str:
        match self._settings.records.numbers:
            case "full":
                return storable(number)
            case "masked":
                return masked(number)
            case _:
                return ""

    def _changed(self, driver: Driver, live: _Live, _: dict[str, object]) -> None:
        live.row["state"] = "ringing" if live.row["answered_at"] is None else "live"
        self._put(driver, live)

    def _answered(self, driver: Driver, live: _Live, fields: dict[str, object]) -> None:
        if live.row["answered_at"] is None:
            live.row["answered_at"] = _moment(driver)
        self._changed(driver, live, fields)

    def _ended(self, driver: Driver, live: _Live, fields: dict[str, object]) -> None:
        row = live.row
        row |= {"state": "ended", "ending": str(fields["ending"]), "ended_at": _moment(driver)}
        row["reason"] = str(fields["reason"]) if fields.get("reason") else None
        row["barge_ins"] = _whole(fields.get("barge_ins"))
        if isinstance(fields.get("cost"), int | float):
            row["cost"] = fields["cost"]
        for open_row in (*live.functions.values(), live.transfer):
            if open_row is not None:
                open_row["outcome"] = open_row["outcome"] or "call_ended"
        for function in live.functions.values():
            self._note(Put(functions, dict(function)))
        if live.transfer is not None:
            self._note(Put(transfers, dict(live.transfer)))
        del self._live[driver.plan.call_sid]
        self._put(driver, live)
        if self._settings.records.webhook_url:
            self._note(Put(deliveries, new_delivery(str(row["id"]), self._instance), keeps=True), is_important=True)
            self.told()

    def _function_called(self, driver: Driver, live: _Live, fields: dict[str, object]) -> None:
        row: dict[str, object] = {
            "name": storable(str(fields["function"])),
            "at_s": _since(driver),
            "took_ms": None,
            "outcome": None,
        }
        if self._add(functions, live, row):
            live.functions[str(fields.get("call_id"))] = row

    def _function_answered(self, _: Driver, live: _Live, fields: dict[str, object]) -> None:
        row = live.functions.pop(str(fields.get("call_id")), None)
        if row is not None:
            row["took_ms"] = _optional(fields.get("took_ms"))
            row["outcome"] = row["outcome"] or "answered"
            self._note(Put(functions, row))

    def _transfer_begun(self, driver: Driver, live: _Live, fields: dict[str, object]) -> None:
        row: dict[str, object] = {"destination": str(fields["destination"]), "at_s": _since(driver), "outcome": None}
        live.transfer = row if self._add(transfers, live, row) else None

    def _transfer_ended(self, _: Driver, live: _Live, fields: dict[str, object]) -> None:
        row, live.transfer = live.transfer, None
        if row is not None:
            row["outcome"] = str(fields["outcome"])
            self._note(Put(transfers, row))

    def _reply_heard(self, driver: Driver, live: _Live, fields: dict[str, object]) -> None:
        self._waited(driver, live, str(fields["kind"]), fields.get("wait_ms"), fields.get("model_ms"))

    def _barged_in(self, driver: Driver, live: _Live, fields: dict[str, object]) -> None:
        live.row["barge_ins"] = _whole(live.row["barge_ins"]) + 1
        self._put(driver, live)
        self._waited(driver, live, "barge_in", fields.get("stop_ms"), None)

    def _waited(self, driver: Driver, live: _Live, kind: str, wait_ms: object, model_ms: object) -> None:
        if isinstance(wait_ms, int | float):
            row = {"kind": kind, "at_s": _since(driver), "wait_ms": round(wait_ms), "model_ms": _optional(model_ms)}
            self._add(latencies, live, row)

    def _session_replaced(self, driver: Driver, live: _Live, _: dict[str, object]) -> None:
        live.row["sessions_replaced"] = _whole(live.row["sessions_replaced"]) + 1
        self._put(driver, live)

    def _usage_counted(self, driver: Driver, live: _Live, fields: dict[str, object]) -> None:
        for name in TOKENS:
            live.row[name] = _whole(live.row[name]) + _whole(fields.get(name))
        cost = fields.get("cost")
        if isinstance(cost, int | float):
            so_far = live.row["cost"]
            live.row["cost"] = cost + (so_far if isinstance(so_far, int | float) else 0)
        self._put(driver, live)

    # Rows

    def _put(self, driver: Driver, live: _Live) -> None:
        live.row["updated_at"] = _moment(driver)
        self._note(Put(calls, dict(live.row)), is_important=True)

    def _add(self, table: Table, live: _Live, row: dict[str, object]) -> bool:
        """One more row of a call; False when it is lost."""
        number = live.counts[table.name] = live.counts.get(table.name, 0) + 1
        row |= {"call_id": live.row["id"], "number": number}
        if number > MAX_DETAILS or not self._note(Put(table, dict(row))):
            live.row["lost"] = _whole(live.row["lost"]) + 1
            return False
        return True


def new_delivery(call_id: str, instance: str) -> dict[str, object]:
    """The row of a call that somebody has to be told about."""
    now = datetime.now(UTC)
    times = {"created_at": now, "next_at": now}
    return {"call_id": call_id, "instance": instance, "state": "waiting", "attempts": 0, "last_error": None} | times


def storable(text: str) -> str:
    """A text without the characters that a database refuses."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def masked(number: str) -> str:
    """A number of which the last digits can be told; what is no number, such as `anonymous`, stays."""
    if not re.fullmatch(r"\+?\d+", number):
        return "…" if re.search(r"\d", number) or "@" in number else storable(number)
    return "…" + number[-SHOWN_DIGITS:]


def _since(driver: Driver) -> float:
    return round(driver.clock.now() - driver.began_at, 3)


def _moment(driver: Driver) -> datetime:
    """Now, on the clock of the call: in a rehearsal that is faster than real time, times and durations agree."""
    return driver.began_on + timedelta(seconds=driver.clock.now() - driver.began_at)


def _whole(value: object) -> int:
    return round(value) if isinstance(value, int | float) else 0


def _optional(value: object) -> int | None:
    return round(value) if isinstance(value, int | float) else None
