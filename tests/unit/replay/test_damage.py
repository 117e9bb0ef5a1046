"""Tapes on which a line is wrong, in ways that no torn write explains: the commands say so in a sentence, or go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.replay.commands import Answer, cut, redact, replay, show, wav

Keep = Callable[..., Path]
HEADER = b'{"tape":1,"scope":"core"}\n'
COMMANDS = ("replay", "show", "wav", "cut", "redact")
DEEP = b'{"a":' * 900 + b"1" + b"}" * 900
BEYOND = b'{"at":2.0,"timer":true}\n'


def told(path: Path) -> dict[str, Answer]:
    """What each command answers."""
    return {
        "replay": replay([path]),
        "show": show(path),
        "wav": wav(path, path.with_suffix(".wav")),
        "cut": cut(path, path.with_suffix(".cut"), from_s=0.5),
        "redact": redact(path, path.with_suffix(".redacted")),
    }


@pytest.mark.parametrize(
    ("line", "refusing"),
    [
        (b'{"at":1.0,"control":{"kind":"function_result","call_id":"call_1"}}\n', {*COMMANDS}),
        (b'{"do":"said","role":"bot","words":"a"b"}\n', {*COMMANDS}),
        (b'{"do":"play_audio","bytes":99999999999}\n', {"show", "wav"}),
        (
            b'{"at":1.0,"caller":{"event":"media","media":{"timestamp":"0","payload":""}},"bytes":99999999999}\n',
            {*COMMANDS},
        ),
    ],
    ids=["control", "action", "length of an action", "length of a message"],
)
def test_line_that_is_wrong_is_told_by_whoever_needs_it(line: bytes, refusing: set[str], kept: Keep) -> None:
    """One sentence, exit code 2; who can do without the line goes on."""
    answers = told(kept(HEADER + line + BEYOND))

    assert refusing == {name for name, answer in answers.items() if answer.exit_code == 2}
    for name in refusing:
        assert "\n" not in answers[name].text


def test_action_that_is_nested_deep_is_redacted_or_refused_in_a_sentence(kept: Keep) -> None:
    """How deep is too deep is the Python's matter: 3.11 goes less far than those after it. Nobody else minds."""
    answers = told(kept(HEADER + b'{"do":"run_function","arguments":' + DEEP + b"}\n" + BEYOND))
    redacted = answers.pop("redact")

    assert {"replay", "show", "wav", "cut"} == {name for name, answer in answers.items() if answer.exit_code != 2}
    assert redacted.exit_code in (0, 2)
    assert "Traceback" not in redacted.text
    assert redacted.exit_code == 0 or "\n" not in redacted.text


def test_action_whose_name_is_no_text_is_a_difference(kept: Keep) -> None:
    """Two lines that cannot be the same action are told apart like any others."""
    answer = replay([kept(HEADER + b'{"do":"happened","event":{"a":1}}\n' + BEYOND)])

    assert 1 == answer.exit_code, answer.text


def test_message_that_is_nested_deep_is_redacted_as_text(kept: Keep) -> None:
    """A peer may have said it, and the bridge has survived it: the rest of the tape is worth having."""
    message = b'{"at":1.0,"model":{"type":"response.done","x":' + DEEP + b"}}\n"
    path = kept(HEADER + message + BEYOND)

    answer = redact(path, path.with_suffix(".redacted"))

    assert 0 == answer.exit_code, answer.text
    assert 3 == len(path.with_suffix(".redacted").read_bytes().splitlines())
