"""Who is believed: signatures of webhooks and of the media handshake."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from twiml.signature import Reason, Validator, Verdict, raw_target

TOKEN = "12345"
PUBLIC_URL = "https://bot.example.com"
ANSWER = "/twiml/answer"
FORM = {"CallSid": "CA1234567890ABCDE", "From": "+15557654321", "Empty": ""}
SHA256 = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"


def sign(
    url: str,
    form: dict[str, str] | MultiDict[str, str] | None = None,
    *,
    token: str = TOKEN,
    algorithm: str = "HMAC_SHA1",
) -> str:
    """Sign as Twilio does, by its own library."""
    return str(RequestValidator(token).compute_signature(url, form or {}, algorithm))


def validator(public_url: str = PUBLIC_URL, media_url: str = "", tokens: tuple[str, ...] = (TOKEN,)) -> Validator:
    """A validator with nothing special about it, but for what is given."""
    return Validator(tokens, public_url, media_url)


def test_signature_made_by_hand_is_accepted() -> None:
    """By the documented recipe, without the library: the URL, then names and values in order, HMAC-SHA1 in base64."""
    form = {"To": "+15551230000", "CallSid": "CA1234567890ABCDE", "From": "+15550100001", "Digits": "1234"}
    signed = "https://bot.example.com/twiml/answer?foo=1&bar=2" + "".join(
        f"{name}{form[name]}" for name in sorted(form)
    )
    signature = base64.b64encode(hmac.digest(TOKEN.encode(), signed.encode(), "sha1")).decode()

    verdict = validator("https://bot.example.com").check_webhook("/twiml/answer?foo=1&bar=2", form, signature=signature)

    assert Verdict(Reason.VALID) == verdict


@pytest.mark.parametrize(
    ("public_url", "signed_url"),
    [
        (PUBLIC_URL, "https://bot.example.com/twiml/answer"),
        (PUBLIC_URL, "https://bot.example.com:443/twiml/answer"),
        (PUBLIC_URL + "/", "https://bot.example.com/twiml/answer"),
        (PUBLIC_URL + ":443", "https://bot.example.com/twiml/answer"),
        (PUBLIC_URL + ":8443", "https://bot.example.com:8443/twiml/answer"),
        (PUBLIC_URL + ":8443", "https://bot.example.com/twiml/answer"),
        (PUBLIC_URL + "/voice", "https://bot.example.com/voice/twiml/answer"),
        (PUBLIC_URL + ":8443/voice/", "https://bot.example.com:8443/voice/twiml/answer"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]/twiml/answer"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:443/twiml/answer"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]/twiml/answer"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/twiml/answer"),
        ("http://127.0.0.1", "http://127.0.0.1:80/twiml/answer"),
    ],
)
def test_webhook_signed_with_or_without_port_is_accepted(public_url: str, signed_url: str) -> None:
    """Whether the sender writes the port or not, the request is the same."""
    verdict = validator(public_url).check_webhook(ANSWER, FORM, signature=sign(signed_url, FORM))

    assert verdict


@pytest.mark.parametrize(
    "signed_url",
    [
        "https://bot.example.com/twiml/answer/",
        "https://bot.example.com//twiml/answer",
        "https://bot.example.com/twiml/Answer",
        "https://bot.example.com/twiml%2Fanswer",
        "https://bot.example.com:8443/twiml/answer",
        "https://evil.example.com/twiml/answer",
        "http://bot.example.com/twiml/answer",
        "wss://bot.example.com/twiml/answer",
    ],
)
def test_webhook_signed_for_another_url_is_refused(signed_url: str) -> None:
    """A signature over any other URL, however near, does not count."""
    verdict = validator().check_webhook(ANSWER, FORM, signature=sign(signed_url, FORM))

    assert Verdict(Reason.SIGNATURE_WRONG) == verdict


@pytest.mark.parametrize("target", ["/twiml/whisper?call=CA%31&x=a+b", "/twiml/%C3%A9?b=2&a=1&&", "/twiml/a%2fb/?"])
def test_raw_target_is_signed_as_it_came(target: str) -> None:
    """Percent-encoding, the order of the query and slashes stay as Twilio wrote them."""
    assert validator().check_webhook(target, FORM, signature=sign(PUBLIC_URL + target, FORM))


def test_raw_target_joins_path_and_query_untouched() -> None:
    """Nothing is decoded or put in order; without a query there is no question mark."""
    assert "/a%2Fb/?y=%20&x" == raw_target(b"/a%2Fb/", b"y=%20&x")
    assert "/a\xff" == raw_target(b"/a\xff", b"")


def test_get_request_is_signed_by_its_url_alone() -> None:
    """A webhook that is configured as GET has its parameters in the query and no body."""
    target = ANSWER + "?CallSid=CA1&From=%2B15557654321"

    assert validator().check_webhook(target, b"", signature=sign(PUBLIC_URL + target))


def test_repeated_parameters_are_all_signed() -> None:
    """A value that was smuggled in beside the signed one is noticed."""
    form = MultiDict([("Sid", "b"), ("Sid", "a"), ("Sid", "b")])
    signature = sign(PUBLIC_URL + ANSWER, form)

    assert validator().check_webhook(ANSWER, form, signature=signature)
    assert not validator().check_webhook(
        ANSWER, MultiDict([*form.items(multi=True), ("Sid", "c")]), signature=signature
    )
    assert not validator().check_webhook(ANSWER, form.to_dict(), signature=signature)


def test_json_body_is_believed_by_its_hash() -> None:
    """A body that is no form is covered by the hash in the signed URL."""
    body = b'{"a": "\xc3\xa9"}'
    target = f"{ANSWER}?x=1&bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = sign(PUBLIC_URL + target)

    assert validator().check_webhook(target, body, signature=signature)
    assert Verdict(Reason.BODY_HASH_WRONG) == validator().check_webhook(target, body + b" ", signature=signature)
    assert Verdict(Reason.BODY_HASH_WRONG) == validator().check_webhook(target, b"", signature=signature)
    assert Verdict(Reason.SIGNATURE_WRONG) == validator().check_webhook(target, body, signature=sign(PUBLIC_URL))


@pytest.mark.parametrize("body", [b"{}", b"\xff\xfe", b"CallSid=CA1"])
def test_body_that_is_not_covered_is_refused(body: bytes) -> None:
    """Without a hash nothing vouches for the bytes, for which Twilio's own helper raises TypeError or IndexError."""
    verdict = validator().check_webhook(ANSWER, body, signature=sign(PUBLIC_URL + ANSWER))

    assert Verdict(Reason.BODY_HASH_MISSING) == verdict


def test_either_token_is_accepted_while_tokens_are_rotated() -> None:
    """The primary and the secondary token both sign; a third one does not."""
    both = validator(tokens=("primary", "secondary"))

    for token in ("primary", "secondary"):
        assert both.check_webhook(ANSWER, FORM, signature=sign(PUBLIC_URL + ANSWER, FORM, token=token))
    assert not both.check_webhook(ANSWER, FORM, signature=sign(PUBLIC_URL + ANSWER, FORM, token="third"))


def test_settings_header_chooses_the_algorithm() -> None:
    """A shared key signs with SHA-256, and neither algorithm is taken for the other."""
    sha256 = sign(PUBLIC_URL + ANSWER, FORM, algorithm="HMAC_SHA256")

    assert validator().check_webhook(ANSWER, FORM, signature=sha256, settings=SHA256)
    assert not validator().check_webhook(ANSWER, FORM, signature=sha256)
    assert not validator().check_webhook(ANSWER, FORM, signature=sign(PUBLIC_URL + ANSWER, FORM), settings=SHA256)


@pytest.mark.parametrize("settings", ["algorithm=HMAC_MD5", "key=k,algorithm=none", "algorithm=\xff"])
def test_unknown_algorithm_is_refused(settings: str) -> None:
    """What we cannot compute we do not believe."""
    verdict = validator().check_webhook(ANSWER, FORM, signature=sign(PUBLIC_URL + ANSWER, FORM), settings=settings)

    assert Verdict(Reason.ALGORITHM_UNKNOWN) == verdict


@pytest.mark.parametrize("settings", ["", "key=k", ",,", "algorithm=", "algorithm"])
def test_settings_without_algorithm_mean_the_auth_token(settings: str) -> None:
    """A header that names no algorithm changes nothing."""
    assert validator().check_webhook(ANSWER, FORM, signature=sign(PUBLIC_URL + ANSWER, FORM), settings=settings)


def test_missing_signature_is_refused() -> None:
    """An unsigned request is told apart from a wrongly signed one."""
    assert Verdict(Reason.SIGNATURE_MISSING) == validator().check_webhook(ANSWER, FORM, signature="")
    assert Verdict(Reason.SIGNATURE_MISSING) == validator().check_handshake("/media", signature="")


@pytest.mark.parametrize("signature", ["\xe9", "\ud800", "=", "x" * 100_000])
def test_odd_signature_is_refused_without_raising(signature: str) -> None:
    """Whatever stands in the header, the answer is no."""
    assert Verdict(Reason.SIGNATURE_WRONG) == validator().check_webhook(ANSWER, FORM, signature=signature)


def test_value_that_is_no_text_is_refused_without_raising() -> None:
    """A lone surrogate cannot have been signed."""
    assert Verdict(Reason.MALFORMED) == validator().check_webhook(ANSWER, {"From": "\ud800"}, signature="x")


@pytest.mark.parametrize(
    ("public_url", "media_url", "signed_url"),
    [
        (PUBLIC_URL, "", "wss://bot.example.com/media/a1"),
        (PUBLIC_URL, "", "wss://bot.example.com:443/media/a1"),
        (PUBLIC_URL + ":443", "", "wss://bot.example.com/media/a1"),
        (PUBLIC_URL + "/voice", "", "wss://bot.example.com/voice/media/a1"),
        (PUBLIC_URL, "wss://media.example.com:8443", "wss://media.example.com:8443/media/a1"),
        (PUBLIC_URL, "wss://media.example.com/fast/", "wss://media.example.com/fast/media/a1"),
        ("http://127.0.0.1:8080", "", "ws://127.0.0.1:8080/media/a1"),
        ("http://127.0.0.1:8080", "", "wss://127.0.0.1:8080/media/a1"),
        ("https://[2001:db8::1]", "", "wss://[2001:db8::1]:443/media/a1"),
    ],
)
def test_handshake_signed_for_the_stream_url_is_accepted(public_url: str, media_url: str, signed_url: str) -> None:
    """The handshake is signed over the wss URL of the document."""
    assert validator(public_url, media_url).check_handshake("/media/a1", signature=sign(signed_url))


@pytest.mark.parametrize(
    ("media_url", "signed_url"),
    [
        ("", "https://bot.example.com/media/a1"),
        ("", "ws://bot.example.com/media/a1"),
        ("", "wss://bot.example.com/media/a1/"),
        ("", "wss://bot.example.com/media/a2"),
        ("", "wss://bot.example.com:80/media/a1"),
        ("wss://media.example.com", "wss://bot.example.com/media/a1"),
    ],
)
def test_handshake_signed_for_another_url_is_refused(media_url: str, signed_url: str) -> None:
    """Neither https nor another host, path or instance will do."""
    verdict = validator(media_url=media_url).check_handshake("/media/a1", signature=sign(signed_url))

    assert Verdict(Reason.SIGNATURE_WRONG) == verdict


def test_webhook_signature_does_not_open_a_stream() -> None:
    """A captured webhook cannot be replayed as a handshake of the same path."""
    assert not validator().check_handshake("/media", signature=sign(PUBLIC_URL + "/media"))


@pytest.mark.parametrize("tokens", [(), ("",), (TOKEN, ""), TOKEN])
def test_validator_refuses_to_start_without_proper_tokens(tokens: tuple[str, ...]) -> None:
    """An empty token would let anybody sign, and so would each character of a text taken for a sequence."""
    with pytest.raises(ValueError, match="sequence of auth tokens"):
        Validator(tokens, PUBLIC_URL)


@pytest.mark.parametrize(
    ("public_url", "media_url"),
    [
        ("bot.example.com", ""),
        ("ftp://bot.example.com", ""),
        ("https://", ""),
        ("https://user:secret@bot.example.com", ""),
        ("https://bot.example.com?x=1", ""),
        ("https://bot.example.com/#rc=2", ""),
        ("https://bot.example.com:port", ""),
        (PUBLIC_URL, "media.example.com"),
        (PUBLIC_URL, "tcp://media.example.com"),
    ],
)
def test_validator_refuses_to_start_with_an_odd_address(public_url: str, media_url: str) -> None:
    """An address that Twilio could not be given is found at the start, not at the first call."""
    with pytest.raises(ValueError, match="must read"):
        Validator((TOKEN,), public_url, media_url)


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
PATHS = st.text("abc/%2F.", min_size=1, max_size=20).map(lambda path: "/" + path)


def changed(text: str, index: int, character: str) -> str:
    """The text with one character replaced."""
    place = index % len(text)
    assume(text[place] != character)
    return text[:place] + character + text[place + 1 :]


@given(form=st.dictionaries(TEXT, TEXT, max_size=6), path=PATHS)
def test_whatever_twilio_signs_is_accepted(form: dict[str, str], path: str) -> None:
    """Any form to any path, signed by Twilio's own library."""
    assert validator().check_webhook(path, form, signature=sign(PUBLIC_URL + path, form))


@given(
    form=st.dictionaries(TEXT, TEXT, min_size=1, max_size=6),
    part=st.sampled_from(["path", "name", "value", "signature", "token"]),
    index=st.integers(0, 1000),
    character=st.characters(codec="utf-8"),
    data=st.data(),
)
def test_any_changed_character_is_refused(
    form: dict[str, str], part: str, index: int, character: str, data: st.DataObject
) -> None:
    """One character of the path, of a name, a value, the signature or the token is enough."""
    path, token = ANSWER, TOKEN
    signature = sign(PUBLIC_URL + path, form)
    name = data.draw(st.sampled_from(sorted(form)))
    if part == "path":
        path = changed(path, index, character)
    elif part == "token":
        token = changed(token, index, character)
    elif part == "signature":
        signature = changed(signature, index, character)
    elif part == "value":
        assume(form[name])
        form = {**form, name: changed(form[name], index, character)}
    else:
        assume(name)
        other = changed(name, index, character)
        assume(other not in form)
        form = {other if key == name else key: value for key, value in form.items()}

    assert not validator(tokens=(token,)).check_webhook(path, form, signature=signature)


@given(
    target=st.text(max_size=30),
    body=st.binary(max_size=30),
    signature=st.text(max_size=40),
    settings=st.text(max_size=40),
)
def test_no_request_makes_the_check_raise(target: str, body: bytes, signature: str, settings: str) -> None:
    """Garbage is refused, in a webhook and in a handshake."""
    assert not validator().check_webhook(target, body, signature=signature, settings=settings)
    assert not validator().check_webhook(target, {target: signature}, signature=signature, settings=settings)
    assert not validator().check_handshake(target, signature=signature, settings=settings)
