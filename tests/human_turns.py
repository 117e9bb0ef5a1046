"""Real people taking the floor or not, what a phone line makes of them, and what the bridge's ear says to it.

The clips are in `fixtures/calls/human-turns`, with their licence. Each has the caller in one channel and, in the other,
the person who was already talking: here the bot.
"""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path

from bridge.call.voice import CallerEar
from bridge.rehearsal.line import Line, Transmission
from bridge.rehearsal.sound import add, to_linear, to_ulaw, weaken
from bridge.wire.g711 import BYTES_PER_MS, FRAME_BYTES, SILENCE
from bridge.wire.levels import magnitude

CLIPS = Path(__file__).parents[1] / "fixtures" / "calls" / "human-turns"
BOT_LOUDER_DB = 12
"""The clips are headset recordings, far quieter than what a bot's voice is on the phone."""


@dataclass(frozen=True)
class Clip:
    """Nine seconds of two people."""

    id: str
    is_take: bool
    """Whether the other one stopped."""
    words: str
    onset_ms: int
    caller: bytes
    bot: bytes


@dataclass(frozen=True)
class Verdict:
    """What the ear said."""

    cut_at_ms: int | None
    voiced_ms: int
    """The most that counted at any time."""


@cache
def clips() -> tuple[Clip, ...]:
    """All clips, by name."""
    return tuple(map(_clip, json.loads((CLIPS / "labels.json").read_text(encoding="utf-8"))))


def _clip(label: dict[str, object]) -> Clip:
    stereo = (CLIPS / str(label["file"])).read_bytes()
    sound = stereo[stereo.index(b"data") + 8 :]
    return Clip(
        id=str(label["id"]),
        is_take=label["kind"] == "floor_take",
        words=str(label["caller_words"]),
        onset_ms=int(1000 * float(str(label["caller_onset_s"]))),
        caller=sound[::2],
        bot=sound[1::2],
    )


def listen(
    caller: bytes, bot: bytes = b"", *, confirm_ms: int = 700, pieces: tuple[int, ...] = (FRAME_BYTES,)
) -> Verdict:
    """Let an ear hear the caller while the bot plays, in pieces of so many bytes, until the floor is taken."""
    ear = CallerEar(confirm_ms=confirm_ms)
    ear.play(bot, 0)
    ear.opened(0)
    at, most_ms = 0, 0
    sizes = cycle(pieces)
    while at < len(caller) and not ear.confirmed:
        size = next(sizes)
        ear.hear(caller[at : at + size], at // BYTES_PER_MS)
        at += size
        most_ms = max(most_ms, ear.voiced_ms)
    return Verdict(ear.confirmed_at_ms, most_ms)


# What lines do


def louder(sound: bytes, decibels: float) -> bytes:
    """The same, that much louder; cut off at full scale."""
    return to_ulaw(weaken(to_linear(sound), -decibels))


def later(sound: bytes, delay_ms: int) -> bytes:
    """The same, behind silence, and no longer than it was."""
    return (SILENCE * (delay_ms * BYTES_PER_MS) + sound)[: len(sound)]


def band_limited(sound: bytes) -> bytes:
    """What passes of it between 300 and 3400 Hz."""
    return Transmission(Line(band_limited=True)).pass_on(sound, b"")


def at_speed(sound: bytes, factor: float) -> bytes:
    """The same, faster and higher."""
    samples = array("h", to_linear(sound))
    places = (n * factor for n in range(int((len(samples) - 1) / factor)))
    bent = ((int(at), at % 1) for at in places)
    return to_ulaw(array("h", (int(samples[n] * (1 - part) + samples[n + 1] * part) for n, part in bent)).tobytes())


def with_losses(sound: bytes, share: float) -> bytes:
    """The same with silence for so many of its frames."""
    dice = random.Random("losses")  # noqa: S311 - the same each time
    frames = (sound[at : at + FRAME_BYTES] for at in range(0, len(sound), FRAME_BYTES))
    return b"".join(SILENCE * len(frame) if dice.random() < share else frame for frame in frames)


@cache
def noise(size: int) -> bytes:
    """White noise, as 16-bit samples, with a magnitude of 1000."""
    dice = random.Random("noise")  # noqa: S311 - the same each time
    second = array("h", (max(-32768, min(32767, int(dice.gauss(0, 1253)))) for _ in range(8000)))
    starts = (dice.randrange(4000) for _ in range(size // 4000 + 1))
    return b"".join(second[start : start + 4000].tobytes() for start in starts)[: size * 2]


@cache
def babble(size: int) -> bytes:
    """Seven people at once, as 16-bit samples, with a magnitude of 1000."""
    crowd = bytes(size * 2)
    for number, clip in enumerate(clips()):
        voice = bytes(islice(cycle(clip.bot), 9000 * number, 9000 * number + size))
        crowd = add(crowd, to_linear(voice))
    return _at_magnitude(crowd, 1000)


def amid(sound: bytes, background: Callable[[int], bytes], ratio_db: float) -> bytes:
    """The same with a background so much weaker than its loud parts."""
    frames = [magnitude(sound[at : at + FRAME_BYTES]) for at in range(0, len(sound), FRAME_BYTES)]
    loud = [each for each in frames if each > max(frames) / 4]
    wanted = 4 * sum(loud) / len(loud) * 10 ** (-ratio_db / 20)
    return to_ulaw(add(to_linear(sound), _at_magnitude(background(len(sound)), wanted)))


def _at_magnitude(linear: bytes, wanted: float) -> bytes:
    samples = array("h", linear)
    factor = wanted * len(samples) / sum(map(abs, samples))
    return array("h", (int(sample * factor) for sample in samples)).tobytes()


def echo(bot: bytes, delay_ms: int, weaker_db: float, *, in_room: bool = False, hiss: int = 20) -> bytes:
    """What a speakerphone sends back of the bot, as 16-bit samples: band-limited, perhaps from a room, with hiss."""
    direct = to_linear(band_limited(bot))
    back = weaken(_shifted(direct, delay_ms), weaker_db)
    if in_room:
        dice = random.Random("room")  # noqa: S311 - the same each time
        for _ in range(12):
            reflected_ms = dice.randrange(3, 150)
            loss_db = weaker_db + 6 + 60 * reflected_ms / 300
            back = add(back, weaken(_shifted(direct, delay_ms + reflected_ms), loss_db))
    return add(back, _at_magnitude(noise(len(bot)), hiss))


def _shifted(linear: bytes, delay_ms: int) -> bytes:
    return (bytes(2 * BYTES_PER_MS * delay_ms) + linear)[: len(linear)]


VARIATIONS: dict[str, Callable[[bytes], bytes]] = {
    "as recorded": bytes,
    "12 dB quieter": partial(louder, decibels=-12),
    "12 dB louder": partial(louder, decibels=12),
    "hiss 20 dB below the voice": partial(amid, background=noise, ratio_db=20),
    "hiss 10 dB below the voice": partial(amid, background=noise, ratio_db=10),
    "seven people talking, 20 dB below": partial(amid, background=babble, ratio_db=20),
    "seven people talking, 10 dB below": partial(amid, background=babble, ratio_db=10),
    "300 to 3400 Hz only": lambda sound: band_limited(louder(sound, 12)),
    "7 ms later": partial(later, delay_ms=7),
    "spoken 10 % faster": partial(at_speed, factor=1.1),
    "spoken 10 % slower": partial(at_speed, factor=1 / 1.1),
    "5 % of the frames lost": partial(with_losses, share=0.05),
}
"""What may happen to a clip's caller; the ear should say the same."""


@dataclass(frozen=True)
class Outcome:
    """What the ear made of all clips."""

    takes: int
    """Floor takes that cut the bot, after their onset."""
    false_cuts: int
    """Cuts by a backchannel, or before a take's onset."""
    after_ms: tuple[int, ...]
    """When the takes cut the bot, after their onset, shortest first."""


def outcome(vary: Callable[[bytes], bytes]) -> Outcome:
    """Let the ear hear every clip, varied like that."""
    heard = [(clip, listen(vary(clip.caller), clip.bot).cut_at_ms) for clip in clips()]
    cuts = [(clip, at_ms - clip.onset_ms) for clip, at_ms in heard if at_ms is not None]
    after_ms = tuple(sorted(after for clip, after in cuts if clip.is_take and after >= 0))
    return Outcome(len(after_ms), len(cuts) - len(after_ms), after_ms)
