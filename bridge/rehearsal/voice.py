"""The embedded model's voice: espeak-ng, in a process of its own (`python -m bridge.rehearsal.voice`).

espeak-ng is licensed under the GNU General Public License, version 3 or later; this project is not. It is an optional
package (`espeakng-loader`) and runs as a separate program, which gets a text and a voice's name through a pipe and
returns sound; no other module loads it.

Two things about the library, measured. It must be told a data path of fewer than some 160 characters, so this process
changes into the directory and gives a relative one. And it speaks the same text a little differently each time: it
takes the time for a seed, and each utterance leaves traces in the next. So it is given a seed, and each utterance is
spoken in a fork, where there is one; then a rehearsal sounds the same every time.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import traceback
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import espeakng_loader
import numpy as np
import soxr

from bridge.rehearsal import pipe
from bridge.rehearsal.sound import to_ulaw
from bridge.wire.g711 import RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.rehearsal.pipe import Frame

_SYNCHRONOUS: Final = 2
"""`AUDIO_OUTPUT_SYNCHRONOUS`: sound comes through the callback, before `espeak_Synth` returns."""
_BUFFER_MS: Final = 60
_DONT_EXIT: Final = 0x8000
"""`espeakINITIALIZE_DONT_EXIT`: return an error instead of ending the process."""
_UTF8: Final = 1
_RATE, _PITCH = 1, 3
"""`espeakRATE`, `espeakPITCH`."""
_LONG_NUMBER: Final = re.compile(r"\d{4,}")
"""Read digit by digit, as order and telephone numbers are."""
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Voice(NamedTuple):
    """A speaker: a variant that espeak-ng ships, its pitch (0 to 99) and its rate in words a minute."""

    variant: str
    pitch: int
    words_per_minute: int


VOICES: Final = {
    "marin": Voice("f3", 55, 165),
    "cedar": Voice("m3", 40, 160),
    "alloy": Voice("f2", 45, 165),
    "ash": Voice("m1", 35, 165),
    "ballad": Voice("m7", 45, 155),
    "coral": Voice("f4", 60, 170),
    "echo": Voice("m4", 30, 165),
    "sage": Voice("f1", 50, 160),
    "shimmer": Voice("f5", 70, 165),
    "verse": Voice("m2", 50, 170),
}
"""What stands for the Realtime API's voices, so that two agents can be told apart. Any other name gets one of these."""


def voice_named(name: str) -> Voice:
    """Return the voice of that name; an unknown name always gets the same one."""
    return VOICES.get(name) or list(VOICES.values())[zlib.crc32(name.encode()) % len(VOICES)]


class Espeak:
    """The library, loaded and ready; one in a process, since its state is global."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        os.chdir(Path(espeakng_loader.get_data_path()).parent)
        self.rate_hz: int = self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, b".", _DONT_EXIT)
        if self.rate_hz <= 0:
            raise RuntimeError(f"espeak-ng finds no data in {Path.cwd()}")
        self._spoken = bytearray()
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: Voice) -> bytes:
        """Return 16-bit samples at `rate_hz`."""
        synthesise = functools.partial(self._synthesise, text, voice)
        return _in_a_fork(synthesise) if hasattr(os, "fork") else synthesise()

    def _synthesise(self, text: str, voice: Voice) -> bytes:
        if self._library.espeak_SetVoiceByName(f"en-us+{voice.variant}".encode()):
            raise RuntimeError(f"espeak-ng has no voice en-us+{voice.variant}")
        self._library.espeak_ng_SetRandSeed(1)
        self._library.espeak_SetParameter(_RATE, voice.words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, voice.pitch, 0)
        self._spoken.clear()
        letters = _LONG_NUMBER.sub(lambda number: " ".join(number[0]), text).encode()
        self._library.espeak_Synth(letters, len(letters) + 1, 0, 1, 0, _UTF8, None, None)
        return bytes(self._spoken)

    def _take(self, samples: int | None, count: int, _events: int | None) -> int:
        if count > 0:  # the last call, with none, has no samples
            self._spoken += ctypes.string_at(samples or 0, count * 2)
        return 0


def to_line(pcm: bytes, rate_hz: int) -> bytes:
    """Turn 16-bit samples into mu-law at 8 kHz; nothing above 4 kHz folds down."""
    if not pcm:
        return b""
    samples = soxr.resample(np.frombuffer(pcm, dtype="<i2"), rate_hz, RATE_HZ, quality="HQ")
    return to_ulaw(samples.astype("<i2").tobytes())


def _in_a_fork(synthesise: Callable[[], bytes]) -> bytes:
    """Run `synthesise` in a copy of this process and return what it returns."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writer, "wb") as out:
                out.write(synthesise())
            status = 0
        except Exception:  # noqa: BLE001 - a copy must end here, and not go on as a second worker
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as spoken:
        pcm = spoken.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"espeak-ng could not speak (wait status {status}); see its message above")
    return pcm


def main() -> None:
    """Serve requests `{"text", "voice"}`; the answer's body is mu-law."""
    espeak = Espeak()

    def handle(header: dict[str, object], _body: bytes) -> Frame:
        return {}, to_line(espeak.speak(str(header["text"]), voice_named(str(header["voice"]))), espeak.rate_hz)

    pipe.serve(handle)


if __name__ == "__main__":
    main()
