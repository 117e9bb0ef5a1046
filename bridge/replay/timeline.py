"""A tape as a timeline for people: turns, responses, marks, truncations, functions, and how long the caller waited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bridge.replay.words import fields_words, input_words
from bridge.wire import caller, model
from bridge.wire.g711 import BYTES_PER_MS, size_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.replay.moments import Moment
    from bridge.wire.tape import Header

NOTICED_WITHIN_MS = 5000
"""A server's own clock that says the caller fell silent longer ago than that is not believed."""


class Turn(msgspec.Struct):
    """The four times of a turn, in call seconds: from the caller's last sound to the first of the answer they hear."""

    stopped_at: float
    """The caller stopped, by the server's word."""
    delta_at: float | None = None
    """The first sound of the answer came from the server."""
    out_at: float | None = None
    """It was sent to the carrier."""
    heard_at: float | None = None
    """The caller heard it, by its mark, or the stream's clock where that is lost."""

    @property
    def waited_ms(self) -> int | None:
        """How long the caller waited."""
        return None if self.heard_at is None else round((self.heard_at - self.stopped_at) * 1000)


class Timeline:
    """Reads a call; `lines` is the timeline so far, `turns` the turns that were answered or not.

    Args:
        silence_ms: the silence after which the server takes a turn for ended; it counts it to the turn.
    """

    def __init__(self, silence_ms: int = 0) -> None:
        self._silence_ms = silence_ms
        self.turns: list[Turn] = []
        self.lines: list[str] = []
        self.lost = 0
        self._sent_ms = 0
        self._marks: list[str] = []
        self._marked_at = 0.0
        self._response_ms: dict[str, int] = {}
        self._first_mark = ""
        self._first_ms = 0
        self._called: dict[str, tuple[str, float]] = {}

    def take(self, moment: Moment) -> None:
        """The next moment of the call."""
        if type(moment.message) is caller.MarkReached:
            self._mark_reached(moment.message.name, moment.at)
        elif isinstance(moment.message, model.AudioDelta):
            self._delta(moment.message, moment)
        elif type(moment.message) is not caller.CallerAudio:
            self._rare(moment)
        for action in moment.actions:
            self._did(action, moment.at)
        if moment.lost:
            self.lost += moment.lost
            self._say(moment.at, "tape", f"{moment.lost} lines are lost here")

    def _rare(self, moment: Moment) -> None:
        message, at = moment.message, moment.at
        match message:
            case (
                None | model.Quiet() | caller.Greeted() | model.TranscriptDelta() | model.ItemAdded() | model.ItemDone()
            ):
                pass
            case model.OutputItemAdded() | model.OutputItemDone() | model.Committed():
                pass
            case model.SessionCreated() | model.SessionUpdated():
                self._say(at, "model", input_words("", message).strip().split(" ")[0].replace("_", " "))
            case model.SpeechStarted():
                self._say(at, "caller", "begins to speak")
            case model.SpeechStopped(audio_end_ms=end_ms):
                ago_ms = self._sent_ms - end_ms
                ago_ms = self._silence_ms + (ago_ms if 0 <= ago_ms < NOTICED_WITHIN_MS else 0)
                self.turns.append(Turn(at - ago_ms / 1000))
                self._say(at, "caller", f"has stopped speaking, {ago_ms} ms ago")
            case model.TranscriptDone(item_id=item_id, transcript=words):
                self._say(at, "model", f"words of {item_id}: {words}")
            case model.ResponseDone(response=response):
                made_ms = self._response_ms.pop(response.id, 0)
                self._say(at, "model", f"response {response.id} {response.status or 'done'}, {made_ms} ms of speech")
            case model.ResponseCreated(response=response):
                self._say(at, "model", f"response {response.id} begins")
            case _:
                self._say(at, moment.leg, input_words("", message).strip())

    def _delta(self, event: model.AudioDelta, moment: Moment) -> None:
        made_ms = size_of(event.delta) // BYTES_PER_MS
        self._response_ms[event.response_id] = self._response_ms.get(event.response_id, 0) + made_ms
        is_played = bool(moment.actions)  # late sound of a response that was cut is no answer
        if is_played and self.turns and self.turns[-1].delta_at is None:
            self.turns[-1].delta_at = moment.at

    def _did(self, action: dict[str, object], at: float) -> None:
        turn = self.turns[-1] if self.turns else None
        match action:
            case {"do": "append_audio", "payload": str(payload)}:
                self._sent_ms += size_of(payload) // BYTES_PER_MS
            case {"do": "play_audio", "payload": str(payload)} if (
                turn and turn.delta_at is not None and not turn.out_at
            ):
                turn.out_at = at
                self._first_ms = size_of(payload) // BYTES_PER_MS
                self._first_mark = ""
            case {"do": "set_mark", "name": str(name)} if turn and turn.out_at == at and not self._first_mark:
                self._first_mark = name
            case {"do": "play_audio" | "set_mark"}:
                pass
            case {"do": "clear_playout"}:
                if turn and turn.out_at is not None and turn.heard_at is None:
                    turn.heard_at, self._first_mark = turn.out_at, ""
                self._say(at, "bridge", "clear: what is not yet heard is thrown away")
            case {"do": "run_function", "call_id": str(call_id), "name": str(name)}:
                self._called[call_id] = (name, at)
                self._say(at, "bridge", f"runs {name} ({call_id})")
            case {"do": "said"}:
                self._said(action, at)
            case {"do": "happened", "event": str(event)}:
                self._happened(event, action.get("fields"), at)
            case _:
                self._say(at, "bridge", f"{str(action.get('do')).replace('_', ' ')} {fields_words(action)}".rstrip())

    def _said(self, action: dict[str, object], at: float) -> None:
        words = action.get("words")
        if action.get("role") == "bot":
            cut = f", cut after {action.get('heard_ms')} ms" if action.get("is_cut") else ""
            self._say(at, "bot", f"was heard: {words}{cut}")
        else:
            self._say(at, "caller", f"said: {words}")

    def _happened(self, event: str, fields: object, at: float) -> None:
        more = fields if isinstance(fields, dict) else {}
        asked = self._called.pop(str(more.get("call_id")), None) if event == "function.answered" else None
        if asked is not None:
            name, since = asked
            self._say(at, "bridge", f"{name} has answered after {round((at - since) * 1000)} ms")
        elif event not in ("caller.speech_started", "caller.speech_stopped"):
            self._say(at, "bridge", f"* {event} {fields_words(more)}".rstrip())

    def _mark_reached(self, name: str, at: float) -> None:
        self._marks.append(name)
        self._marked_at = at
        if name == self._first_mark and self.turns:
            self._first_mark = ""
            turn = self.turns[-1]
            turn.heard_at = max(turn.out_at or 0.0, at - self._first_ms / 1000)

    def _say(self, at: float, who: str, what: str) -> None:
        self.flush()
        self.lines.append(f"{at:9.3f}  {who:<7} {what}")

    def flush(self) -> None:
        """Marks that came back one after the other make one line."""
        marks, self._marks = self._marks, []
        if marks:
            names = marks[0] if len(marks) == 1 else f"{marks[0]} to {marks[-1]} ({len(marks)})"
            self.lines.append(f"{self._marked_at:9.3f}  {'caller':<7} mark {names} came back")


def show(header: Header, moments: Iterable[Moment]) -> str:
    """The timeline of a tape, and the table of its turns."""
    agent = header.plan.get("agent")
    timeline = Timeline(_silence_ms(agent))
    for moment in moments:
        timeline.take(moment)
    timeline.flush()
    name = agent.get("name") if isinstance(agent, dict) else None
    head = [f"tape of a call by {name or 'an unknown agent'}, written by {header.by or 'an unknown program'}"]
    if header.sound != "full":
        head.append({"lengths": "without its sound", "stand-in": "with tones in place of its sound"}[header.sound])
    return "\n".join([", ".join(head), "", *timeline.lines, *_table(timeline.turns)])


def _silence_ms(agent: object) -> int:
    """The silence that ends a turn and counts to it. Source: OpenAI's API reference, `audio_end_ms`."""
    match agent:
        case {"turn_detection": {"type": "server_vad", "silence_duration_ms": int(silence_ms)}}:
            return silence_ms
        case _:
            return 0


def _table(turns: list[Turn]) -> list[str]:
    if not turns:
        return []
    lines = ["", "turn   caller stopped   first delta   first frame out   first frame heard   caller waited"]
    for number, turn in enumerate(turns, 1):
        waited = "-" if turn.waited_ms is None else f"{turn.waited_ms} ms"
        times = (turn.stopped_at, turn.delta_at, turn.out_at, turn.heard_at)
        cells = [
            f"{'-' if at is None else f'{at:.3f}':>{width}}" for at, width in zip(times, (14, 11, 15, 17), strict=True)
        ]
        lines.append(f"{number:>4}   {'   '.join(cells)}   {waited:>13}")
    return lines
