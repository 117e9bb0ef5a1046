"""What the embedded model says and does."""

from __future__ import annotations

import json

import pytest

from bridge.call import prompts
from bridge.rehearsal.mind import Dialogue, FunctionCall, FunctionCallOutput, Heard, Message, Mind, Reply

SESSION = "You answer the phone. Say goodbye politely, and ask callers who say nothing whether they are still there."
DIALOGUE = """
not_understood = ["Pardon?", "Sorry?"]

[slots]
number = "digits"
bread = { rye = "RYE-1", "white wheat" = "WW-2" }

[agent]
greeting_message = "Hello, this is the bakery."

[topics.hours]
phrases = ["when do you open"]
keys = "1"
reply = ["At six.", "As I said, at six."]

[topics.price]
phrases = ["how much is a {bread} loaf", "how much is it"]
ask = { bread = "Which bread?" }
reply = "{bread} costs four euros."

[topics.order]
phrases = ["where is my order", "my order number is {number}"]
ask = { number = "What is the number?" }
function = "lookup_order"
arguments = { number = "{number}", urgent = true }
before = "One moment."
result = "Order {number} will arrive {when}."
failed = "I cannot find it."
reply = "Order {number} is in the oven."

[topics.repair]
phrases = ["my bread is broken"]
function = "repair"

[topics.repeat]
phrases = ["say that again"]
reply = "{last}"

[[cues]]
words = ["lunch"]
reply = "It is time for lunch."
"""


def tool(
    name: str, description: str = "", required: list[str] | None = None, **properties: object
) -> dict[str, object]:
    """A function as a session has it."""
    required = list(properties) if required is None else required
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "name": name, "description": description, "parameters": parameters}


TRANSFER = tool(
    "transfer_call",
    destination={"type": "string", "enum": ["sales", "customer_service"]},
    summary={"type": "string"},
)
END = tool("end_call", reason={"type": "string"})
KEYS = tool("send_digits", digits={"type": "string"})
LOOKUP = tool("lookup_order", number={"type": "string"})
TOOLS = [TRANSFER, END, KEYS, LOOKUP]


@pytest.fixture
def mind() -> Mind:
    """The mind of a session with the instructions above."""
    mind = Mind(Dialogue.parse(DIALOGUE, source="test"))
    mind.domain(SESSION, TOOLS)
    return mind


def said(text: str) -> Message:
    """Something the caller said."""
    return Message("user", text)


def answered(text: str) -> Message:
    """Something the model said."""
    return Message("assistant", text)


def reply(
    mind: Mind,
    *history: Heard,
    instructions: str = SESSION,
    tools: list[dict[str, object]] | None = None,
    tool_choice: str | dict[str, object] = "auto",
) -> Reply:
    """What the mind answers in a session with these functions, by default all of them."""
    offered = TOOLS if tools is None else tools
    return mind.reply(history, instructions=instructions, tools=offered, tool_choice=tool_choice)


# What the caller says


def test_question_is_answered_from_the_dialogue(mind: Mind) -> None:
    """A topic without a function is a reply."""
    assert Reply("At six.") == reply(mind, said("when do you open"))


def test_texts_of_a_reply_are_used_in_turn(mind: Mind) -> None:
    """Who asks again gets the next one, and then the first again."""
    question, texts = said("when do you open"), ["At six.", "As I said, at six.", "At six."]

    history: list[Heard] = []
    for text in texts:
        history.append(question)
        assert Reply(text) == reply(mind, *history)
        history.append(answered(text))


def test_what_was_not_understood_is_said_so_in_turn(mind: Mind) -> None:
    """Nothing recognised and nothing that makes sense are the same."""
    assert Reply("Pardon?") == reply(mind, said(""))
    assert Reply("Sorry?") == reply(mind, said(""), answered("Pardon?"), said("xylophone"))


def test_choice_is_filled_in_as_the_dialogue_says(mind: Mind) -> None:
    """What stands for the words is spoken."""
    assert Reply("WW-2 costs four euros.") == reply(mind, said("how much is a white wheat loaf"))


def test_missing_slot_is_asked_for_and_the_answer_completes_the_question(mind: Mind) -> None:
    """The caller need not ask again, and an answer that makes no sense is asked for again."""
    asked = [said("how much is it"), answered("Which bread?")]

    assert Reply("Which bread?") == reply(mind, asked[0])
    assert Reply("Which bread?") == reply(mind, *asked, said("xylophone"))
    assert Reply("RYE-1 costs four euros.") == reply(
        mind, *asked, said("xylophone"), *asked[1:], said("the rye please")
    )


def test_other_question_is_answered_where_a_slot_was_asked_for(mind: Mind) -> None:
    """A caller may change the subject."""
    assert Reply("At six.") == reply(mind, said("how much is it"), answered("Which bread?"), said("when do you open"))


def test_interrupted_answer_does_not_change_what_the_next_question_means(mind: Mind) -> None:
    """The model's own words may be truncated or gone; only the caller's count."""
    assert Reply("WW-2 costs four euros.") == reply(mind, said("how much is it"), said("white wheat"))


def test_caller_can_have_the_last_words_repeated(mind: Mind) -> None:
    """What was said last is said again."""
    assert Reply("At six.") == reply(mind, said("when do you open"), answered("At six."), said("say that again"))


# Functions


def test_function_is_called_with_what_was_heard(mind: Mind) -> None:
    """Slots and constants become arguments; something is said first."""
    expected = Reply("One moment.", (FunctionCall("lookup_order", {"number": "4712", "urgent": True}),))

    assert expected == reply(mind, said("my order number is four seven one two"))


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_reply_takes_the_place_of_a_function_that_cannot_be_called(mind: Mind, choice: str) -> None:
    """Not offered and not allowed are the same for the caller."""
    tools = TOOLS if choice == "none" else []

    assert Reply("Order 47 is in the oven.") == reply(
        mind, said("my order number is four seven"), tools=tools, tool_choice=choice
    )
    assert Reply("I am sorry, I cannot do that.") == reply(mind, said("my bread is broken"), tool_choice="none")


@pytest.mark.parametrize(
    ("output", "speech"),
    [
        ('{"when": "tomorrow"}', "Order 47 will arrive tomorrow."),
        ('{"error": "no such order"}', "I cannot find it."),
        ('{"state": "baking", "loaves": [2, 3], "paid": true, "note": null}', "state: baking. loaves: 2, 3. paid: yes"),
        ("It is late.", "It is late."),
        ("{}", "That is done."),
        ('""', "That is done."),
    ],
)
def test_result_of_a_function_is_put_into_words(mind: Mind, output: str, speech: str) -> None:
    """By the dialogue's template if it fits, or read out."""
    call = FunctionCall("lookup_order", {"number": "47"}, "call_1")

    assert Reply(speech) == reply(
        mind, said("my order number is four seven"), answered("One moment."), call, FunctionCallOutput("call_1", output)
    )


def test_results_of_several_functions_are_told_together(mind: Mind) -> None:
    """Two calls of one response, two outputs, one answer."""
    calls = [FunctionCall("lookup_order", {"number": each}, each) for each in "12"]
    outputs = [FunctionCallOutput(each, '{"when": "soon"}') for each in "12"]

    assert Reply("Order 1 will arrive soon. Order 2 will arrive soon.") == reply(mind, said("both"), *calls, *outputs)


def test_question_asked_meanwhile_is_answered_after_the_result(mind: Mind) -> None:
    """A caller who goes on speaking while a function runs gets both."""
    call = FunctionCall("lookup_order", {"number": "47"}, "call_1")
    output = FunctionCallOutput("call_1", '{"when": "soon"}')

    told = reply(mind, said("my order number is four seven"), call, said("when do you open"), output)

    assert Reply("Order 47 will arrive soon. At six.") == told


def test_output_of_an_unknown_call_is_read_out(mind: Mind) -> None:
    """A restored conversation may lack the call."""
    assert Reply("fine") == reply(mind, FunctionCallOutput("call_9", '"fine"'))


# The bridge's own functions


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("sales please", "sales"),
        ("please put me through to sales", "sales"),
        ("I want to talk to customer service", "customer_service"),
        ("connect me to customer service", "customer_service"),
    ],
)
def test_caller_is_transferred_to_any_destination_that_is_offered(mind: Mind, text: str, destination: str) -> None:
    """No dialogue file needs to name the destinations; the bridge makes the announcement."""
    arguments = {"destination": destination, "summary": f"The caller said: {text}."}

    assert Reply(None, (FunctionCall("transfer_call", arguments),)) == reply(mind, said(text))


def test_caller_is_told_that_a_transfer_failed(mind: Mind) -> None:
    """The one asked for, by its name."""
    call = FunctionCall("transfer_call", {"destination": "customer_service", "summary": ""}, "call_1")

    told = reply(mind, said("customer service please"), call, FunctionCallOutput("call_1", '{"error": "busy"}'))

    assert Reply("I am sorry, I could not put you through to customer service. Can I help you instead?") == told


def test_goodbye_ends_the_call_if_it_can_be_ended(mind: Mind) -> None:
    """It is said in the same response, and also where there is no function."""
    ended = reply(mind, said("okay bye"))

    assert ("Thank you for calling. Goodbye.", ["end_call"]) == (ended.speech, [call.name for call in ended.calls])
    assert Reply("Thank you for calling. Goodbye.") == reply(mind, said("okay bye"), tools=[])


def test_caller_who_goes_on_after_goodbye_is_answered(mind: Mind) -> None:
    """The output that says that the call has not ended is not read out."""
    end = FunctionCall("end_call", {"reason": ""}, "call_1")
    output = FunctionCallOutput("call_1", json.dumps({"error": prompts.NOT_ENDED}))
    history: list[Heard] = [said("bye"), answered("Goodbye."), end]

    assert Reply("At six.") == reply(mind, *history, said("when do you open"), output)
    assert Reply("All right. What else can I do for you?") == reply(mind, *history, output)


def test_digits_are_sent(mind: Mind) -> None:
    """As many as were said."""
    assert Reply(None, (FunctionCall("send_digits", {"digits": "123"}),)) == reply(mind, said("press one two three"))


# An operator's functions


REPORT = tool(
    "report_fault",
    "Report a broken street light",
    ["street_number", "kind", "urgent", "remark"],
    street_number={"type": "integer"},
    kind={"type": "string", "enum": ["dark", "always_on"]},
    urgent={"type": "boolean"},
    remark={"type": "string"},
    photo={"type": "string"},
)


def test_function_nobody_wrote_a_dialogue_for_is_called_by_its_description(mind: Mind) -> None:
    """What it requires is asked for, one by one, and given the types of its schema."""
    history: list[Heard] = [said("report a broken street light please")]
    for question, answer in [
        ("Please tell me the street number.", "it is four two"),
        ("Please tell me the kind.", "always on"),
        ("Please tell me the urgent.", "yes"),
    ]:
        assert Reply(question) == reply(mind, *history, tools=[REPORT])
        history += [answered(question), said(answer)]

    arguments = {"street_number": 42, "kind": "always_on", "urgent": True, "remark": "yes"}
    assert Reply(None, (FunctionCall("report_fault", arguments),)) == reply(mind, *history, tools=[REPORT])


def test_function_without_parameters_is_called_by_its_name(mind: Mind) -> None:
    """A schema may be missing altogether."""
    tools: list[dict[str, object]] = [{"type": "function", "name": "open_gate"}]

    assert Reply(None, (FunctionCall("open_gate", {}),)) == reply(mind, said("open gate"), tools=tools)


def test_required_choice_calls_a_function_whatever_was_said(mind: Mind) -> None:
    """The one the caller's words lead to, or else the first."""
    first = reply(mind, said("xylophone"), tool_choice="required")
    keys = reply(mind, said("press one"), tool_choice="required")

    assert Reply(None, (FunctionCall("transfer_call", {"destination": "sales", "summary": "xylophone"}),)) == first
    assert ["send_digits"] == [call.name for call in keys.calls]


def test_named_choice_calls_that_function(mind: Mind) -> None:
    """Whatever the caller's words lead to."""
    choice: dict[str, object] = {"type": "function", "name": "report_fault"}

    (call,) = reply(mind, said("when do you open"), tools=[*TOOLS, REPORT], tool_choice=choice).calls

    expected = {"street_number": 0, "kind": "dark", "urgent": False, "remark": "when do you open"}
    assert FunctionCall("report_fault", expected) == call


def test_choice_of_a_function_that_is_not_offered_is_a_reply(mind: Mind) -> None:
    """There is nothing to call."""
    assert Reply("At six.") == reply(mind, said("when do you open"), tools=[], tool_choice="required")


# Keys


def test_key_of_a_topic_is_the_same_as_its_question(mind: Mind) -> None:
    """With or without the key that ends an entry."""
    assert Reply("At six.") == reply(mind, said("The caller pressed 1 #."))


def test_keys_answer_a_question_for_digits(mind: Mind) -> None:
    """A number may be typed instead of said."""
    history = [said("where is my order"), answered("What is the number?"), said("The caller pressed 4 7 #.")]

    assert [{"number": "47", "urgent": True}] == [call.arguments for call in reply(mind, *history).calls]


def test_other_keys_are_read_back(mind: Mind) -> None:
    """Stars and letters too."""
    assert Reply("You pressed 9 * A.") == reply(mind, said("The caller pressed 9 * A."))


# What the client tells it


@pytest.mark.parametrize("text", ["Hello, this is the bakery.", "You said: 'goodbye',\nand so be it."])
def test_text_is_said_word_for_word(mind: Mind, text: str) -> None:
    """Greetings and announcements come this way, whatever the conversation and the functions."""
    told = reply(mind, said("bye"), instructions=prompts.word_for_word(text), tool_choice="required")

    assert Reply(text) == told


@pytest.mark.parametrize(
    ("instructions", "speech"),
    [
        (prompts.STILL_THERE, "Are you still there?"),
        (prompts.NO_INPUT_GOODBYE, "I cannot hear you any more, so I will hang up. Goodbye."),
        (prompts.TIME_IS_UP, "We have run out of time for this call. Thank you, and goodbye."),
        (prompts.GOODBYE, "Thank you for calling. Goodbye."),
        ("Tell the caller that it is LUNCH time.", "It is time for lunch."),
    ],
)
def test_instructions_for_one_response_are_followed(mind: Mind, instructions: str, speech: str) -> None:
    """Each prompt of the bridge has an answer; a dialogue may know more."""
    assert Reply(speech) == reply(mind, answered("Hello."), instructions=instructions)


def test_nudges_are_used_in_turn(mind: Mind) -> None:
    """The second one is another."""
    told = reply(mind, answered("Are you still there?"), instructions=prompts.STILL_THERE)

    assert Reply("Hello? Can you hear me?") == told


def test_instructions_of_the_session_are_no_cue(mind: Mind) -> None:
    """They may speak of goodbyes and of callers who say nothing."""
    assert Reply("At six.") == reply(mind, said("when do you open"), instructions=SESSION)


def test_short_instructions_are_a_cue_before_the_session_is_known() -> None:
    """Nobody has spoken yet, so nothing was recognised; a session's own instructions are longer."""
    mind = Mind(Dialogue.parse(DIALOGUE, source="test"))

    assert Reply("Are you still there?") == reply(mind, answered("Hello."), instructions=prompts.STILL_THERE)
    assert Reply("At six.") == reply(mind, said("when do you open"), instructions=SESSION + " Be kind." * 10)


def test_system_message_is_told_to_the_caller_if_it_is_a_cue(mind: Mind) -> None:
    """A transfer that failed leaves the caller with the bot again."""
    history = [said("sales please"), answered("One moment.")]

    failed = reply(mind, *history, Message("system", "The transfer to sales failed: no answer."))
    noted = reply(mind, *history, Message("system", "It is raining."))

    assert Reply("I am sorry, that did not work. Can I help you instead?") == failed
    assert Reply("All right. What else can I do for you?") == noted


def test_model_that_speaks_first_greets(mind: Mind) -> None:
    """With or without something the session remembers."""
    assert Reply("Hello, this is the bakery.") == reply(mind)
    assert Reply("Hello, this is the bakery.") == reply(mind, Message("system", "The caller is a friend."))


# For the recogniser


def test_domain_has_dialogue_destinations_and_functions(mind: Mind) -> None:
    """All that the mind understands can be heard, answers to its questions too."""
    sentences = mind.domain(SESSION, [*TOOLS, REPORT]).sentences

    expected = {"when do you open", "#", "rye", "white wheat", "sales please", "goodbye", "press #", "always on", "yes"}
    assert expected <= set(sentences)
    assert "sales please" not in mind.domain(SESSION, []).sentences


def test_equal_sessions_share_a_domain(mind: Mind) -> None:
    """The recogniser keeps one set of decoders for them."""
    other = Mind(Dialogue.parse(DIALOGUE, source="test"))

    assert mind.domain(SESSION, TOOLS) == other.domain("Something else.", TOOLS)
