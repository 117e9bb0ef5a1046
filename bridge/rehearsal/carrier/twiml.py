"""TwiML text to verbs, checked against what Twilio knows. Pure.

Sources: Twilio's pages `docs/voice/twiml/*`; attributes as in the voice response builder of the package `twilio`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin
from xml.etree import ElementTree as ET

_CALLBACK = "statusCallback statusCallbackMethod statusCallbackEvent"
_RECORDING = (
    "record trim recordingStatusCallback recordingStatusCallbackMethod recordingStatusCallbackEvent recordingTrack"
)
_ACTION = "action method"
_MACHINE = (
    "machineDetection amdStatusCallback amdStatusCallbackMethod machineDetectionTimeout machineDetectionSilenceTimeout "
    "machineDetectionSpeechThreshold machineDetectionSpeechEndThreshold"
)
_ATTRIBUTES = {
    "Response": "",
    "Client": f"url method {_CALLBACK}",
    "Conference": "muted beep startConferenceOnEnter endConferenceOnExit waitUrl waitMethod maxParticipants region "
    f"coach participantLabel jitterBufferSize eventCallbackUrl {_CALLBACK} {_RECORDING}",
    "Connect": _ACTION,
    "Dial": f"{_ACTION} timeout hangupOnStar timeLimit callerId answerOnBridge ringTone sequential referUrl "
    f"referMethod {_RECORDING}",
    "Enqueue": f"{_ACTION} maxQueueSize waitUrl waitUrlMethod workflowSid",
    "Gather": f"{_ACTION} input timeout numDigits finishOnKey actionOnEmptyResult language hints speechTimeout "
    "speechModel bargeIn profanityFilter enhanced partialResultCallback "
    "partialResultCallbackMethod maxSpeechTime debug",
    "Hangup": "",
    "Identity": "",
    "Leave": "",
    "Number": f"url method sendDigits phoneNumberSid byoc {_CALLBACK} {_MACHINE}",
    "Parameter": "name value",
    "Pause": "length",
    "Play": "loop digits",
    "Queue": "url method reservationSid postWorkActivitySid",
    "Redirect": "method",
    "Refer": _ACTION,
    "Reject": "reason",
    "Say": "voice loop language",
    "Sip": f"url method username password {_CALLBACK} {_MACHINE}",
    "Stream": "url name track statusCallback statusCallbackMethod connectorName",
    "Task": "priority timeout",
}
_CHILDREN = {
    "Response": "Connect Dial Enqueue Gather Hangup Leave Pause Play Redirect Refer Reject Say",
    "Client": "Identity Parameter",
    "Connect": "Stream",
    "Dial": "Client Conference Number Queue Sip",
    "Enqueue": "Task",
    "Gather": "Pause Play Say",
    "Refer": "Sip",
    "Stream": "Parameter",
}
_METHODS = ("GET", "POST")
_ONE_OF = {
    ("Connect", "method"): _METHODS,
    ("Dial", "method"): _METHODS,
    ("Enqueue", "method"): _METHODS,
    ("Gather", "method"): _METHODS,
    ("Redirect", "method"): _METHODS,
    ("Refer", "method"): _METHODS,
    ("Reject", "reason"): ("rejected", "busy"),
}


class TwimlError(Exception):
    """A document that cannot be read at all: Twilio's error 12100."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb or a noun: its name, attributes, text, and the nouns or verbs inside it that Twilio knows."""

    name: str
    attributes: dict[str, str]
    text: str
    children: tuple[Verb, ...] = ()

    def get(self, attribute: str, default: str = "") -> str:
        """The attribute's text, or the default."""
        return self.attributes.get(attribute, default)

    def flag(self, attribute: str, *, default: bool = False) -> bool:
        """A true-or-false attribute."""
        return self.get(attribute, str(default)).strip().lower() == "true"

    def number(self, attribute: str, default: float) -> float:
        """A numeric attribute; the default where it is missing or no number."""
        try:
            return float(self.attributes[attribute])
        except (KeyError, ValueError):
            return default


@dataclass(frozen=True, slots=True)
class Document:
    """A TwiML document.

    Attributes:
        url: where it came from; empty for one that came by REST, whose relative URLs lead nowhere.
        verbs: what is to be done, in order.
        warnings: what it says against Twilio's schema (12200); such verbs and attributes are left out.
    """

    url: str
    verbs: tuple[Verb, ...]
    warnings: tuple[str, ...]

    def resolve(self, url: str) -> str:
        """An absolute URL for one written in this document; an empty one is the document's own."""
        return urljoin(self.url, url.strip())


def parse(text: str | bytes, url: str) -> Document:
    """Read a document. Raises TwimlError."""
    try:
        root = ET.fromstring(text)  # noqa: S314 - the bridge under rehearsal wrote it, and expat bounds what entities expand to
    except (ET.ParseError, ValueError, LookupError) as error:
        raise TwimlError(f"the document is not well-formed XML: {error}") from error
    if root.tag != "Response":
        raise TwimlError(f"the document's root is <{root.tag}>, not <Response>")
    warnings: list[str] = []
    return Document(url, _verb(root, warnings).children, tuple(warnings))


def _verb(element: ET.Element, warnings: list[str]) -> Verb:
    known = _ATTRIBUTES[element.tag].split()
    attributes = {name: value for name, value in element.attrib.items() if name in known}
    warnings.extend(f"<{element.tag}> has no attribute {name!r}" for name in element.attrib if name not in known)
    for name, value in attributes.items():
        allowed = _ONE_OF.get((element.tag, name))
        if allowed is not None and value not in allowed:
            warnings.append(f"<{element.tag} {name}> cannot be {value!r}")
    if element.tag == "Say":  # what stands inside is speech markup: its words count
        return Verb("Say", attributes, " ".join("".join(element.itertext()).split()))
    children = []
    for child in element:
        if child.tag in _CHILDREN.get(element.tag, "").split():
            children.append(_verb(child, warnings))
        else:
            warnings.append(f"<{element.tag}> cannot hold <{child.tag}>")
    return Verb(element.tag, attributes, (element.text or "").strip(), tuple(children))
