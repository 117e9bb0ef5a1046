"""An operator's own documents for callers who do not get the bot: read, judged, and made into TwiML. Pure.

Such a document may speak, play, wait, refuse and end; and it may dial, by a destination's *name*. What would fetch
other documents, open streams, record, or dial what stands in the template is not in the list, so that no template makes
the line an open relay or takes a call away from the bridge.

Sources: Twilio `docs/voice/twiml/say`, `/play`, `/pause`, `/reject`, `/hangup`; the limits of the errors 11750, 13521.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from twiml.documents import SAY_MAX_CHARACTERS, Callee, dial_element

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 64 * 1024
_VERBS: dict[str, dict[str, str]] = {
    "Say": {"voice": r"[\w.-]{1,64}", "language": r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", "loop": r"[1-9]"},
    "Play": {"loop": r"[1-9]"},
    "Pause": {"length": r"\d{1,2}"},
    "Dial": {"destination": r".+"},
    "Reject": {"reason": r"rejected|busy"},
    "Hangup": {},
}
"""The verbs there are, with the form of each attribute that they may have."""
_SPEECH = frozenset({"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"})
"""What may stand inside `<Say>`: marks of speech, which Twilio takes with the voices that know them."""


class TemplateError(ValueError):
    """A template cannot be used: one sentence that says why, and the way out."""


def document(text: str, destinations: Mapping[str, Callee], *, may_reject: bool) -> str:
    """The document of a template.

    Args:
        text: the template, XML.
        destinations: who may be dialled, by name.
        may_reject: whether it is the first answer to a call, which can be refused.

    Raises:
        TemplateError: it is no XML, or holds something that a template may not.
    """
    root = _parsed(text)
    if root.tag != "Response" or root.attrib or not len(root):
        raise TemplateError("must be a <Response> with verbs in it")
    for verb in root:
        _check(verb)
        if verb.tag == "Dial":
            name = verb.get("destination", "")
            if name not in destinations:
                raise TemplateError(f"dials {name!r}, which is none of [destinations]: a template dials by such a name")
            _replace(verb, dial_element(destinations[name]))
    if root.find("Reject") is not None and (len(root) > 1 or not may_reject):
        raise TemplateError("may have <Reject> only alone, and only where a call is not answered yet: use <Hangup/>")
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(root, encoding="unicode")


def _parsed(text: str) -> ET.Element:
    if len(text.encode()) > MAX_BYTES:
        raise TemplateError("has more than 64 kB, which is all that Twilio reads")
    if "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL):
        raise TemplateError("must have no DOCTYPE and no CDATA: write plain elements")
    try:
        return ET.fromstring(text)  # noqa: S314 - without a DOCTYPE there are no entities to expand
    except ET.ParseError as error:
        line, column = error.position
        raise TemplateError(f"is not XML: line {line}, column {column + 1}") from error


def _check(verb: ET.Element) -> None:
    if verb.tag not in _VERBS:
        known = ", ".join(f"<{name}>" for name in _VERBS)
        raise TemplateError(f"has <{verb.tag}>, which a template may not: there are {known}")
    for name, value in verb.attrib.items():
        form = _VERBS[verb.tag].get(name)
        if form is None or not re.fullmatch(form, value):
            raise TemplateError(f"has <{verb.tag} {name}={value!r}>, which a template may not")
    text = "".join(verb.itertext()).strip()
    if verb.tag == "Say":
        _check_speech(verb, text)
    elif len(verb):
        raise TemplateError(f"has something inside <{verb.tag}>, where nothing may be")
    elif verb.tag == "Play":
        if not re.fullmatch(r"https://[^\s/]+/\S*", text):
            raise TemplateError("plays what has no https:// address")
    elif text:
        raise TemplateError(f"has words inside <{verb.tag}>: only <Say> speaks")
    if verb.tag == "Dial" and not verb.get("destination"):
        raise TemplateError('must dial by name: <Dial destination="sales"/>')


def _check_speech(verb: ET.Element, text: str) -> None:
    if not text or len(text) > SAY_MAX_CHARACTERS:
        raise TemplateError(f"has a <Say> that is empty or has more than {SAY_MAX_CHARACTERS} characters")
    for part in verb.iter():
        if part is not verb and part.tag not in _SPEECH:
            raise TemplateError(f"has <{part.tag}> inside <Say>: there are {', '.join(sorted(_SPEECH))}")


def _replace(verb: ET.Element, other: ET.Element) -> None:
    tail = verb.tail
    verb.clear()
    verb.tag, verb.text, verb.tail = other.tag, other.text, tail
    verb.attrib.update(other.attrib)
    verb.extend(list(other))
