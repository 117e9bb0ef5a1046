"""The embedded model's real ears and mouth, on the recorded callers."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bridge.errors import BridgeError
from bridge.rehearsal import speech as speech_module
from bridge.rehearsal.conversation import Message
from bridge.rehearsal.dialogue import Dialogue
from bridge.rehearsal.domain import Domain
from bridge.rehearsal.line import Line, Transmission
from bridge.rehearsal.repertoire import Repertoire
from bridge.rehearsal.sound import is_loud, read_wav
from bridge.rehearsal.speech import Speech, SpeechStarted, SpeechStopped, VoiceActivity
from bridge.wire.g711 import BYTES_PER_MS, FRAME_BYTES, SILENCE

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = Path(__file__).parents[3] / "fixtures" / "calls"
MANIFEST: dict[str, Any] = tomllib.loads((CALLS / "utterances.toml").read_text(encoding="utf-8"))
UTTERANCES: dict[str, dict[str, Any]] = MANIFEST["utterances"]
TOOLS: list[dict[str, object]] = [
    {
        "type": "function",
        "name": "transfer_call",
        "parameters": {"properties": {"destination": {"enum": ["sales", "customer_service"]}}},
    },
    {"type": "function", "name": "end_call"},
    {"type": "function", "name": "send_digits"},
]
WANTED = Repertoire(Dialogue.default(), TOOLS)
DOMAIN = Domain.of(WANTED.sentences())
DEMO = {"hours", "about-bread", "stop", "price", "goodbye"}
"""What the caller of `fixtures/calls/demo.toml` says."""
MISUNDERSTOOD = 5
"""Of the two dozen utterances of a voice: digits are hard to tell from each other on a telephone."""
PAUSE = SILENCE * (1000 * BYTES_PER_MS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ears() -> AsyncIterator[Speech]:
    """One recogniser and one voice for all tests of this file."""
    async with Speech() as speech:
        yield speech


def wanted(text: str, name: str) -> tuple[str, dict[str, str]]:
    """The topic that a recognised text is about, "" for none, and its slots, in the conversation of that utterance."""
    before = UTTERANCES[name].get("after")
    history = [Message("user", UTTERANCES[before]["text"])] if before else []
    turn = WANTED.follow([*history, Message("user", text)])
    return turn.topic or "", dict(turn.slots)


@pytest.mark.parametrize("noise_snr_db", [None, 35.0], ids=["clean", "noisy"])
@pytest.mark.parametrize("voice", MANIFEST["voices"])
async def test_recorded_caller_is_understood(ears: Speech, voice: str, noise_snr_db: float | None) -> None:
    """Found by voice activity on its line, an utterance means what its manifest says: most, and all of the demo's."""
    misunderstood = {}
    for name, utterance in UTTERANCES.items():
        sound = PAUSE + read_wav(CALLS / voice / f"{name}.wav") + PAUSE
        line, ear = Transmission(Line(noise_snr_db=noise_snr_db)), SILENCE * FRAME_BYTES
        frames = (sound[at : at + FRAME_BYTES].ljust(FRAME_BYTES, SILENCE) for at in range(0, len(sound), FRAME_BYTES))
        heard = b"".join(line.pass_on(frame, ear) for frame in frames)
        found = VoiceActivity().feed(heard)
        assert [SpeechStarted, SpeechStopped] == [type(event) for event in found], name
        if "intent" not in utterance:
            continue
        started_ms, stopped_ms = (event.at_ms for event in found)
        text = await ears.recognise(heard[started_ms * BYTES_PER_MS : stopped_ms * BYTES_PER_MS], DOMAIN)
        if wanted(text, name) != (utterance["intent"], utterance.get("slots", {})):
            misunderstood[name] = text

    assert len(misunderstood) <= MISUNDERSTOOD, misunderstood
    assert voice != "slt" or noise_snr_db or not misunderstood.keys() & DEMO, misunderstood


@pytest.mark.parametrize("name", ["hours", "price-sourdough", "order-number", "sales", "goodbye"])
async def test_what_the_voice_says_is_understood(ears: Speech, name: str) -> None:
    """The ears understand the mouth: the chain is whole without any recording."""
    spoken = await ears.speak(UTTERANCES[name]["text"], "alloy")

    text = await ears.recognise(spoken, DOMAIN)

    assert (UTTERANCES[name]["intent"], UTTERANCES[name].get("slots", {})) == wanted(text, name)


async def test_recognition_is_the_same_every_time(ears: Speech) -> None:
    """What was recognised before makes no difference."""
    sound = read_wav(CALLS / "slt" / "long.wav")

    first = await ears.recognise(sound, DOMAIN)
    await ears.recognise(read_wav(CALLS / "rms" / "hours.wav"), DOMAIN)

    assert first == await ears.recognise(sound, DOMAIN)


async def test_nothing_is_understood_in_silence_and_without_a_domain(ears: Speech) -> None:
    """Neither a silent line nor a session that expects nothing is an error."""
    assert "" == await ears.recognise(PAUSE, DOMAIN)
    assert "" == await ears.recognise(b"", DOMAIN)
    assert "" == await ears.recognise(read_wav(CALLS / "slt" / "hours.wav"), Domain(()))


async def test_caller_is_understood_in_any_domain(ears: Speech) -> None:
    """A session with other functions is another domain; names that are in no dictionary can be said."""
    domain = Domain.of(["put me through to voicebridge", "what are your opening hours", "hello"])

    assert "what are your opening hours" == await ears.recognise(read_wav(CALLS / "rms" / "hours.wav"), domain)


async def test_speech_is_the_same_every_time(ears: Speech) -> None:
    """Another process of the same voice says it in the same bytes, and a repetition is not computed again."""
    text = "Hello, this is the bakery. How can I help you?"
    async with Speech() as other:
        await other.speak("Something else first.", "marin")

        assert await ears.speak(text, "marin") == await other.speak(text, "marin")
    assert await ears.speak(text, "marin") is await ears.speak(text, "marin")


async def test_voices_can_be_told_apart(ears: Speech) -> None:
    """Agents with different voices sound different; a voice nobody knows has one, too."""
    spoken = {voice: await ears.speak("Good morning.", voice) for voice in ("marin", "cedar", "alloy", "echo", "sage")}

    assert len(spoken) == len(set(spoken.values()))
    assert is_loud(await ears.speak("Good morning.", "somebody-else"))


async def test_voice_speaks_long_answers_and_nothing(ears: Speech) -> None:
    """The demo's long answer lasts long enough to be interrupted; an empty text is no sound."""
    long = await ears.speak(Dialogue.default().topics["about_bread"].reply[0], "marin")

    assert len(long) > 12_000 * BYTES_PER_MS
    assert b"" == await ears.speak(" ", "marin")


async def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setattr(speech_module, "find_spec", lambda name: None if name == "pocketsphinx" else name)

    with pytest.raises(BridgeError, match=r"needs pocketsphinx: pip install 'voicebridge\[embedded\]'"):
        async with Speech():
            pass


async def test_voice_finds_its_data_in_a_very_deep_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library knows paths of some 160 characters only; a virtual environment may lie deeper."""
    import espeakng_loader  # noqa: PLC0415 - only this test looks at the package

    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    (deep / "espeakng_loader").symlink_to(Path(espeakng_loader.__file__).parent, target_is_directory=True)
    monkeypatch.setenv("PYTHONPATH", str(deep))

    async with Speech() as speech:
        assert is_loud(await speech.speak("Good morning.", "marin"))
