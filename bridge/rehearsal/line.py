"""A phone line on the caller's side: what it does to the sound and to the packets that carry it.

Band limits, the ear's sound coming back into the mouth (a speakerphone), background noise, jitter and loss. All of it
follows from the seed: the same seed and the same sound give the same line.
"""

from __future__ import annotations

import math
import random
from array import array
from dataclasses import dataclass

from bridge.rehearsal.sound import add, to_linear, to_ulaw, weaken
from bridge.wire.g711 import BYTES_PER_MS, RATE_HZ, SILENCE

SPEECH_DBFS = -20.0
"""The level of speech that a signal-to-noise ratio refers to: root mean square, below full scale."""
_FULL_SCALE = 32768
_BAND_HZ = (300.0, 3400.0)
"""What a telephone line passes: ITU-T G.712."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """How a line is; the default one changes nothing, not a byte.

    Attributes:
        band_limited: only 300 to 3400 Hz pass.
        echo_db: by how many decibels the ear's sound is weaker when the mouth's microphone picks it up; None: no echo.
        echo_delay_ms: how much later it is picked up.
        noise_snr_db: how far the background noise lies below speech of -20 dBFS; None: no noise.
        jitter_ms: frames come up to that much late, so that several arrive together; never out of order.
        loss: the share of frames that never arrive, 0 to 1.
        seed: what noise, jitter and loss are drawn from.
    """

    band_limited: bool = False
    echo_db: float | None = None
    echo_delay_ms: int = 150
    noise_snr_db: float | None = None
    jitter_ms: int = 0
    loss: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.loss <= 1:
            raise ValueError(f"a line's loss is a share between 0 and 1, not {self.loss}")
        if self.jitter_ms < 0 or self.echo_delay_ms < 0:
            raise ValueError("a line's jitter and echo delay are not negative")


class Transmission:
    """One call's passage through a line; keeps the state of filter, echo and dice."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._packets = random.Random(f"packets {line.seed}")  # noqa: S311 - a line must be repeatable
        self._noise = _Noise(line) if line.noise_snr_db is not None else None
        self._filters = [_Biquad.high_pass(_BAND_HZ[0]), _Biquad.low_pass(_BAND_HZ[1])] if line.band_limited else []
        self._echo = bytearray(SILENCE * (line.echo_delay_ms * BYTES_PER_MS))
        self._is_clean = not (self._filters or self._noise or line.echo_db is not None)

    def pass_on(self, mouth: bytes, ear: bytes) -> bytes:
        """What arrives at the carrier of the mouth's sound, while the ear heard that; both equally long."""
        if self._is_clean:
            return mouth
        linear = to_linear(mouth)
        if self._line.echo_db is not None:
            linear = add(linear, self._echo_of(ear, self._line.echo_db))
        if self._noise is not None:
            linear = add(linear, self._noise.take(len(mouth)))
        for each in self._filters:
            linear = each.run(linear)
        return to_ulaw(linear)

    def delay_s(self) -> float | None:
        """How much later than sent the next frame arrives; None: never."""
        late_s = self._packets.uniform(0, self._line.jitter_ms) / 1000
        return None if self._packets.random() < self._line.loss else late_s

    def _echo_of(self, ear: bytes, weaker_db: float) -> bytes:
        self._echo += ear
        back, self._echo = self._echo[: len(ear)], self._echo[len(ear) :]
        return weaken(to_linear(bytes(back)), weaker_db)


class _Noise:
    """White noise: a second of it, read from ever new places."""

    def __init__(self, line: Line) -> None:
        self._dice = random.Random(f"noise {line.seed}")  # noqa: S311 - a line must be repeatable
        deviation = _FULL_SCALE * 10 ** ((SPEECH_DBFS - (line.noise_snr_db or 0.0)) / 20)
        samples = (self._dice.gauss(0, deviation) for _ in range(RATE_HZ))
        self._second = array(
            "h", (int(max(-_FULL_SCALE, min(_FULL_SCALE - 1, sample))) for sample in samples)
        ).tobytes()

    def take(self, samples: int) -> bytes:
        at = self._dice.randrange(RATE_HZ - samples) * 2
        return self._second[at : at + samples * 2]


class _Biquad:
    """A second-order filter, Butterworth. Source: R. Bristow-Johnson's audio equaliser cookbook."""

    def __init__(self, b: tuple[float, float, float], a: tuple[float, float, float]) -> None:
        self._b = tuple(each / a[0] for each in b)
        self._a = (a[1] / a[0], a[2] / a[0])
        self._state = (0.0, 0.0)

    @classmethod
    def low_pass(cls, hz: float) -> _Biquad:
        cosine, alpha = cls._shape(hz)
        side = (1 - cosine) / 2
        return cls((side, 2 * side, side), (1 + alpha, -2 * cosine, 1 - alpha))

    @classmethod
    def high_pass(cls, hz: float) -> _Biquad:
        cosine, alpha = cls._shape(hz)
        side = (1 + cosine) / 2
        return cls((side, -2 * side, side), (1 + alpha, -2 * cosine, 1 - alpha))

    @staticmethod
    def _shape(hz: float) -> tuple[float, float]:
        omega = 2 * math.pi * hz / RATE_HZ
        return math.cos(omega), math.sin(omega) / math.sqrt(2)

    def run(self, linear: bytes) -> bytes:
        (b0, b1, b2), (a1, a2), (s1, s2) = self._b, self._a, self._state
        samples = array("h", linear)
        for n, x in enumerate(samples):
            y = b0 * x + s1
            s1 = b1 * x - a1 * y + s2
            s2 = b2 * x - a2 * y
            samples[n] = int(max(-_FULL_SCALE, min(_FULL_SCALE - 1, y)))
        self._state = (s1, s2)
        return samples.tobytes()
