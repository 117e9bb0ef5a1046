"""What the bridge itself tells the model, in one place; the model says it in the agent's language."""

from __future__ import annotations

WORD_FOR_WORD = 'Say exactly this to the caller, word for word, and nothing else: "{}"'
STILL_THERE = "The caller has said nothing for a while. Ask in one short sentence whether they are still there."
NO_INPUT_GOODBYE = "The caller has not answered. Say a short goodbye, in one sentence."
TIME_IS_UP = "The call has reached its time limit. Say so and say goodbye, in one short sentence."
TIME_RUNS_OUT = "The call must end in {time}. Tell the caller so in one short sentence, then go on as before."
COST_IS_REACHED = "The call cannot go on any longer. Say so and say goodbye, in one short sentence."
GOODBYE = "Say a short goodbye to the caller, in one sentence."
NOT_ENDED = "The caller went on speaking, so the call has not ended. Go on with the conversation."
NOT_DONE = "The caller interrupted, so this was not done. Go on with the conversation."
PUTTING_THROUGH = "Tell the caller in one short sentence that you are putting them through now."
NOT_TRANSFERRED = "The caller went on speaking, so the call was not transferred. Go on with the conversation."
REPLACED = "Somebody at the company transfers the call instead, so this was not done. The caller is being told."
NOBODY_REACHED = "Nobody could be reached. Tell the caller so and say goodbye, in one or two short sentences."
CAME_BACK = (
    "The transfer to {destination} failed ({outcome}). You are speaking with the same caller again. "
    "Tell them in one sentence and ask how else you can help; do not greet them again."
)
LINE_BROKE = (
    "The connection to the caller broke off for a moment and is back. Of what you said last they heard only the "
    "beginning, if anything: go on from there in one or two sentences, and do not greet them again."
)
CUT_OFF = (
    "The line to you broke off while you were speaking: of your last words the caller has heard what stands above. "
    "Go on from there; do not greet, and do not begin anew."
)
WORDS_LOST = (
    "The line to you broke off, and what the caller said last was lost. "
    "Ask them in one short sentence to say it again; do not greet them."
)
HEARD_ONLY = 'The caller interrupted: of your last words they have heard only this: "{}"'
HANDED_OVER = "You are this agent now: go on with the conversation by your new instructions, and do not greet again."


def word_for_word(text: str) -> str:
    """Instructions for a response that is to say a text as it stands."""
    return WORD_FOR_WORD.format(text.replace('"', "'"))
