"""The embedded model's ears: pocketsphinx, in a process of its own (`python -m bridge.rehearsal.recogniser`).

A turn is decoded up to three times:

1. by a grammar that allows the expected sentences and nothing else, which is the most accurate, digits above all, but
   makes one of them of anything;
2. by a loop of the language's sounds, which fits anything. Where the grammar fits far worse than that, the caller has
   said something else;
3. and then by a language model of the expected sentences, which finds one of them inside a longer turn, among words
   that mean nothing. What is no sentence there either, the mind does not understand.

Phone audio is brought to the 16 kHz of the acoustic model (American English; it comes with pocketsphinx) by repeating
each sample: the images above 4 kHz fill the band that the model expects to be full, and halve its errors against a
resampling. What was measured is in `fixtures/calls/README.md`.
"""

from __future__ import annotations

import functools
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pocketsphinx
from pocketsphinx.lm import ArpaBoLM

from bridge.rehearsal import pipe
from bridge.rehearsal.domain import ANY_DIGITS, DIGITS, Domain
from bridge.rehearsal.pronunciation import Pronunciations
from bridge.rehearsal.sound import to_linear
from bridge.wire.g711 import RATE_HZ

if TYPE_CHECKING:
    from bridge.rehearsal.pipe import Frame

_MODEL_HZ: Final = 16_000
_FRAMES_PER_S: Final = 100
_DOMAINS: Final = 4
"""So many are kept ready; each takes some 50 MB."""
_MARGIN: Final = bytes(2 * RATE_HZ // 4)
"""A quarter of a second of silence on either side: the model wants some, and a turn may be cut close."""
_SENTENCES: Final = {"wip": 0.1, "beam": 1e-60, "wbeam": 1e-40, "pbeam": 1e-60}
"""A word penalty against digits that were not said, and beams wide enough not to lose a sentence at its beginning."""
_MOST_DIGITS: Final = 11
"""A telephone number with its country; with any number of digits the grammar would fit any long sentence."""
_LANGUAGE_WEIGHT: Final = 10.0
_SOUNDS: Final = {"lw": 2.0, "beam": 1e-20, "pbeam": 1e-20}
_SILENT: Final = frozenset({"SIL", "+NSN+", "+SPN+"})
"""What the loop of sounds makes of what is no speech; on a digitally silent line it hears one sound besides."""
_FEWEST_SOUNDS: Final = 2
_WORST_FIT: Final = -3.0
"""How much worse than the loop of sounds the grammar may fit: log-likelihood per frame, in thousandths."""
_WORST_FIT_OF_DIGITS: Final = -2.3
"""The same for a sentence with digits: a row of short words fits anything a little."""


class Decoded(NamedTuple):
    """What a decoder made of a turn: words, and how likely the sound is by it."""

    words: str
    log_likelihood: float


class Ears:
    """The decoders of one domain; it takes about 0.2 s to make them."""

    def __init__(self, domain: Domain) -> None:
        known = pronunciations()
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            dictionary = _written(folder / "dict", "".join(known.entries(word) for word in domain.vocabulary))
            grammar = _written(folder / "jsgf", _grammar(domain))
            # With a grammar bestpath takes a second. With compallsen what two decoders say of a sound can be compared.
            self._grammar = _decoder(
                jsgf=grammar, lm=None, dict=dictionary, bestpath=False, compallsen=True, **_SENTENCES
            )
            model = ArpaBoLM(text="\n".join(f"<s> {sentence} </s>" for sentence in domain.spelled_out()))
            model.compute()
            model.write_file(str(folder / "lm"))
            self._model = _decoder(lm=str(folder / "lm"), dict=dictionary, lw=_LANGUAGE_WEIGHT)

    def recognise(self, ulaw: bytes) -> str:
        """Return what was said, in the domain's words; "" where none of them were heard."""
        samples = np.frombuffer(_MARGIN + to_linear(ulaw) + _MARGIN, dtype="<i2")
        wide = np.repeat(samples, _MODEL_HZ // RATE_HZ).tobytes()
        background = _decode(sounds(), wide)
        if sum(sound not in _SILENT for sound in background.words.split()) < _FEWEST_SOUNDS:
            return ""
        sentence = _decode(self._grammar, wide)
        frames = len(samples) * _FRAMES_PER_S / RATE_HZ
        fit = (sentence.log_likelihood - background.log_likelihood) / frames * 1000
        worst = _WORST_FIT if frozenset(DIGITS).isdisjoint(sentence.words.split()) else _WORST_FIT_OF_DIGITS
        return sentence.words if fit > worst else _decode(self._model, wide).words


ears = functools.lru_cache(maxsize=_DOMAINS)(Ears)
"""Return the ears for a domain; those used last are kept."""


@functools.cache
def pronunciations() -> Pronunciations:
    """Load the dictionary that pocketsphinx ships; once in a process, it takes 0.2 s."""
    return Pronunciations.load(Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")))


@functools.cache
def sounds() -> pocketsphinx.Decoder:
    """Make the loop of sounds, with the model that pocketsphinx ships of which sound follows which."""
    loop = pocketsphinx.get_model_path("en-us/en-us-phone.lm.bin")
    return _decoder(allphone=loop, lm=None, dict=None, compallsen=True, **_SOUNDS)


def _decoder(**options: str | float | None) -> pocketsphinx.Decoder:
    return pocketsphinx.Decoder(samprate=_MODEL_HZ, loglevel="FATAL", **options)


def _decode(decoder: pocketsphinx.Decoder, wide: bytes) -> Decoded:
    decoder.start_utt()
    decoder.process_raw(wide, no_search=False, full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    if heard is None or not heard.hypstr or not heard.score > 0:
        return Decoded("", -math.inf)
    return Decoded(heard.hypstr, math.log(heard.score))


def _grammar(domain: Domain) -> str:
    """Return the sentences in the Java Speech Grammar Format, which pocketsphinx reads."""
    digits = functools.reduce(lambda more, _: f"<digit> [{more}]", range(_MOST_DIGITS - 1), "<digit>")
    rules = {
        "<digit>": " | ".join(DIGITS),
        "<digits>": digits,
        "public <sentence>": " | ".join(domain.sentences).replace(ANY_DIGITS, "<digits>"),
    }
    return "#JSGF V1.0;\ngrammar domain;\n" + "".join(f"{name} = {rule};\n" for name, rule in rules.items())


def _written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def main() -> None:
    """Serve requests `{"sentences"}` with mu-law as the body; the answer is `{"text"}`."""

    def handle(header: dict[str, object], body: bytes) -> Frame:
        sentences = header["sentences"]
        if not isinstance(sentences, list):
            raise TypeError("sentences is a list")
        return {"text": ears(Domain(tuple(sentences))).recognise(body)}, b""

    pipe.serve(handle)


if __name__ == "__main__":
    main()
