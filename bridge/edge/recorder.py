"""Writes the tapes of calls, beside them: the event loop appends to a bounded queue, one thread makes lines of that.

A call is never held up: what does not fit into its queue (a disk that stands still for half a minute) is lost,
counted, and marked in the tape. What is written is handed to the system a few times a second, so a crash costs that
much of a tape and no more.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from bridge.call.actions import Ended, PauseRecording, PlayAudio, ResumeRecording, RunFunction, SetMark
from bridge.edge.writer import ignore
from bridge.wire import caller, model, tape
from bridge.wire.commands import AppendAudio
from bridge.wire.g711 import size_of
from bridge.wire.scrubbing import Scrubber, secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.call.actions import Action
    from bridge.call.controls import Control
    from bridge.call.plan import Plan
    from bridge.settings import Settings

MAX_WAITING = 4096
"""Inputs and outputs of one call that may wait to be written: about half a minute."""
WRITE_EVERY_S = 0.25
PAUSE_S = 0.0005
"""Between two tapes: without it, a hundred of them keep the core from the event loop for tens of milliseconds."""
CLOSE_WITHIN_S = 5.0

_AUDIO_DELTA = re.compile(r'"response\.(?:output_)?audio\.delta"')
_KEY = re.compile(r"[0-9A-D]")
_DIGIT = re.compile(r'("digit"\s*:\s*")[0-9A-D]')
_KIND_WITHIN = 300
"""The characters of an event in which its type is looked for."""


class Recorder:
    """Takes down one call. Its methods cost about a microsecond and never wait; they are called from one thread.

    While the caller keys in a secret (between `PauseRecording` and `ResumeRecording`) keys are taken down as zeros,
    and the sound, in which they can be heard, by its length alone.

    Made by `Tapes.open`. Closes itself behind the action `Ended`; nothing is taken down after that.
    """

    def __init__(self, *, has_sound: bool, scrubber: Scrubber) -> None:
        self.lost = 0
        """How many inputs and outputs were lost so far."""
        self.is_over = False
        self._entries: deque[tuple[Callable[..., bytes], tuple[object, ...]]] = deque()
        self._unmarked = 0
        self._has_sound = has_sound
        self._scrubber = scrubber
        self._last_text = ""
        self._is_secret = False

    # The call's side

    def caller(self, now: float, text: str | bytes) -> None:
        """A message of the media stream, before the core gets it."""
        self._put(self._caller_line, now, text)

    def passed_on(self, now: float, text: str | bytes, sound: AppendAudio) -> None:
        """A media frame that was read, and that came to nothing but its sound for the model: most of a call."""
        self._put(self._passed_on_lines, now, text, sound)

    def model(self, now: float, text: str | bytes) -> None:
        """An event of the session, before the core gets it."""
        self._put(self._model_line, now, text)

    def successor(self, now: float, text: str | bytes) -> None:
        """An event of the session that is opened beside it, before the core gets it."""
        self._put(self._successor_line, now, text)

    def control(self, now: float, request: Control) -> None:
        """Something from neither leg, before the core gets it."""
        self._put(self._control_line, now, request)

    def timer(self, now: float) -> None:
        """The timer wakes the core now."""
        self._put(self._timer_line, now)

    def actions(self, actions: list[Action]) -> None:
        """What the core wants done, in order."""
        self._put(self._action_lines, actions)

    def _put(self, write: Callable[..., bytes], *what: object) -> None:
        if self.is_over:
            return
        if len(self._entries) >= MAX_WAITING:
            self.lost += 1
            self._unmarked += 1
            return
        if self._unmarked:
            lines, self._unmarked = self._unmarked, 0
            self._entries.append((tape.lost_line, (lines,)))
        self._entries.append((write, what))

    # The writer's side

    def take(self) -> list[bytes]:
        """The lines of what waits, in order. Called by the writer only."""
        lines: list[bytes] = []
        entries = self._entries
        for _ in range(len(entries)):
            if self.is_over:
                break
            write, what = entries.popleft()
            lines.append(write(*what))
        return lines

    def _caller_line(self, now: float, text: str | bytes) -> bytes:
        text = self._last_text = text if isinstance(text, str) else text.decode(errors="surrogateescape")
        if text.startswith('{"event":"media"'):
            text = self._scrubber.scrub_values(text)
            if (self._is_secret or not self._has_sound) and type(heard := caller.parse(text)) is caller.CallerAudio:
                short = f'{{"event":"media","media":{{"timestamp":"{heard.timestamp_ms}","payload":""}}}}'
                return tape.message_line("caller", now, short, size_of(heard.payload))
            return tape.message_line("caller", now, text)
        if self._is_secret:
            text = _DIGIT.sub(r"\g<1>0", text)
        return tape.message_line("caller", now, self._scrubber.scrub(text))

    def _passed_on_lines(self, now: float, text: str | bytes, sound: AppendAudio) -> bytes:
        raw = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        if self._has_sound and not self._is_secret and raw.isascii() and b"\n" not in raw and b"\r" not in raw:
            raw = self._scrubber.scrub_values(raw.decode()).encode()
            return tape.passed_on_lines(now, raw)
        return self._caller_line(now, text) + self._action_line(sound)

    def _model_line(self, now: float, text: str | bytes) -> bytes:
        text = self._last_text = text if isinstance(text, str) else text.decode(errors="surrogateescape")
        if not _AUDIO_DELTA.search(text, 0, _KIND_WITHIN):
            return tape.message_line("model", now, self._scrubber.scrub(text))
        text = self._scrubber.scrub_values(text)
        if not self._has_sound and isinstance(made := model.parse(text), model.AudioDelta):
            short = msgspec.json.encode(msgspec.structs.replace(made, delta=""))
            return tape.message_line("model", now, short, size_of(made.delta))
        return tape.message_line("model", now, text)

    def _successor_line(self, now: float, text: str | bytes) -> bytes:
        self._last_text = ""
        text = text if isinstance(text, str) else text.decode(errors="surrogateescape")
        return tape.message_line("successor", now, self._scrubber.scrub(text))

    def _control_line(self, now: float, request: Control) -> bytes:
        self._last_text = ""
        return self._scrub(tape.control_line(now, request))

    def _timer_line(self, now: float) -> bytes:
        self._last_text = ""
        return tape.timer_line(now)

    def _action_lines(self, actions: list[Action]) -> bytes:
        return b"".join(map(self._action_line, actions))

    def _action_line(self, action: Action) -> bytes:
        if isinstance(action, AppendAudio):
            return self._sound_line(action, action.audio)
        if isinstance(action, PlayAudio):
            return self._sound_line(action, action.payload)
        if isinstance(action, SetMark):
            return tape.action_line(action)
        if isinstance(action, PauseRecording | ResumeRecording):
            self._is_secret = isinstance(action, PauseRecording)
        elif isinstance(action, RunFunction) and action.secrets:
            action = self._without_secrets(action)
        line = self._scrub(tape.action_line(action))
        if not isinstance(action, Ended):
            return line
        self.is_over = True
        return line + tape.end_line(action.ending.value)

    def _sound_line(self, action: Action, audio: str) -> bytes:
        passed = audio if f'"{audio}"' in self._last_text else None
        return tape.action_line(action, passed=passed, has_sound=self._has_sound)

    def _without_secrets(self, action: RunFunction) -> RunFunction:
        """Keys that the caller pressed for a function alone: zeros, like the presses, here and in its result."""
        for secret in action.secrets.values():
            self._scrubber.add(secret)
        zeros = {name: _KEY.sub("0", secret) for name, secret in action.secrets.items()}
        return msgspec.structs.replace(action, secrets=zeros)

    def _scrub(self, line: bytes) -> bytes:
        return self._scrubber.scrub(line.decode()).encode()


class Tapes:
    """Gives a recorder to each call and writes the tapes of all of them, in one thread of its own.

    Args:
        settings: where the tapes go, whether they hold the sound, and the secrets that must not be on them.
        failed: told, on the writer's thread, when a tape cannot be written (any more); its call goes on.
        lost: told, on the writer's thread, how many inputs and outputs of a call that is over are not on its tape.

    Call `close` when the last call is over.
    """

    def __init__(
        self, settings: Settings, *, failed: Callable[[OSError], object], lost: Callable[[int], object] = ignore
    ) -> None:
        self._settings = settings
        self._failed = failed
        self._lost = lost
        self._secrets = tuple(secrets_of(settings))
        self._open: list[_Writing] = []
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def adopt(self, settings: Settings) -> None:
        """Begin tapes by other settings from now on; secrets of the ones before are still kept off them."""
        self._settings = settings
        self._secrets = tuple({*self._secrets, *secrets_of(settings)})

    def open(self, plan: Plan, now: float) -> Recorder:
        """A recorder for a call that begins now, on the clock of its inputs; its file is made beside the call."""
        scrubber = Scrubber(self._secrets)
        has_sound = self._settings.tape.audio
        recorder = Recorder(has_sound=has_sound, scrubber=scrubber)
        header = tape.Header(
            tape=tape.VERSION,
            by="voicebridge",
            at=now,
            scope="core",
            sound="full" if has_sound else "lengths",
            plan=tape.plain(plan),
            settings=self._settings.model_dump(mode="json"),
        )
        path = self._settings.tape.directory / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{_file_name(plan.call_sid)}.tape"
        first = scrubber.scrub(tape.header_line(header).decode()).encode()
        self._open.append(_Writing(recorder, path, first))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tapes", daemon=True)
            self._thread.start()
        return recorder

    def close(self) -> None:
        """Write what still waits; blocks for a few seconds at most, so call it beside the event loop."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_WITHIN_S)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._closing.wait(WRITE_EVERY_S)
            for writing in list(self._open):
                self._write(writing)
                time.sleep(0 if is_last else PAUSE_S)
        for writing in self._open:
            writing.close()

    def _write(self, writing: _Writing) -> None:
        try:
            writing.write()
        except OSError as error:
            writing.recorder.is_over = True
            self._failed(error)
        if writing.recorder.is_over:
            if writing.recorder.lost:
                self._lost(writing.recorder.lost)
            writing.close()
            self._open.remove(writing)


class _Writing:
    """A tape that is being written."""

    def __init__(self, recorder: Recorder, path: Path, first: bytes) -> None:
        self.recorder = recorder
        self._path = path
        self._lines = [first]
        self._file: BinaryIO | None = None

    def write(self) -> None:
        if self._file is None:
            self._file = _new_file(self._path)
        lines = self._lines + self.recorder.take()
        self._lines = []
        if lines:
            self._file.write(b"".join(lines))
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _new_file(path: Path) -> BinaryIO:
    """A file that only its owner may read; a call that came back gets a tape of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        numbered = path.with_name(f"{path.stem}{f'-{number}' if number > 1 else ''}{path.suffix}")
        try:
            file = numbered.open("xb")
        except FileExistsError:
            continue
        numbered.chmod(0o600)
        return file
    raise FileExistsError(path)


def _file_name(call_sid: str) -> str:
    return re.sub(r"[^\w-]", "_", call_sid)[:64] or "call"
