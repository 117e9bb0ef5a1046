"""What is being said on a call whose two legs are up: it brings the small parts together and holds the joint rules.

The rules, all in `settle`, say what follows when several things are true at once:

- the greeting is heard: the agent's own rule of cutting holds from now on, and the server is told;
- an announcement is heard: the act behind it is due;
- the outputs of functions are complete: they are delivered, and one answer is wished for;
- a turn that counts waits, and the bot was heard: it is answered;
- a response is wanted, none is active and the caller is silent: it is asked for;
- nothing of all this: the line is quiet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call import prompts
from bridge.call.actions import Order
from bridge.call.acts import Act
from bridge.call.announcements import Announcements
from bridge.call.breaks import Breaks, has_heard
from bridge.call.course import Course
from bridge.call.ending import Ending
from bridge.call.hold import SLOW_S
from bridge.call.keys import Keys
from bridge.call.parts import parts_of
from bridge.call.requests import Requests
from bridge.call.responses import Kind, Wish
from bridge.call.restoring import Restoring
from bridge.call.silence import Silence
from bridge.call.speaking import Speaking
from bridge.call.spend import Spend
from bridge.call.turns import Cutting
from bridge.call.voice import CallerEar
from bridge.wire import model as wire

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.answers import Loudness
    from bridge.call.deadlines import Deadlines
    from bridge.call.errands import Errand
    from bridge.call.inbound import Inbound
    from bridge.call.plan import Plan
    from bridge.call.session import Session
    from bridge.call.turns import EarMaker

FIRST = (Kind.GREETING, Kind.ANNOUNCEMENT)
"""What is asked for even while the caller speaks."""


class Conversation:
    """The parts of one call that concern speech. Methods are named after what happened; call `settle` after each."""

    def __init__(
        self,
        plan: Plan,
        outbox: Outbox,
        deadlines: Deadlines,
        inbound: Inbound,
        session: Session,
        *,
        ear: EarMaker = CallerEar,
        loudness: Loudness,
    ) -> None:
        parts = parts_of(plan, outbox, deadlines, inbound, session, ear=ear, loudness=loudness)
        self.memory, self.playout, self.transcript = parts.memory, parts.playout, parts.transcript
        self.responses, self.turns, self.answering = parts.responses, parts.turns, parts.answering
        self.answers, self.waits, self.hold = parts.answers, parts.waits, parts.hold
        self._plan, self._agent = plan, plan.agent
        self._outbox, self._deadlines, self._inbound, self._session = outbox, deadlines, inbound, session
        self.requests = Requests(parts, plan, announce=self.announce, change_agent=self._change_agent)
        self._functions = self.requests.functions
        self._acts = Announcements(outbox, deadlines, self.responses, self._functions)
        self._keys = Keys(plan.agent.keys.terminator)
        self._silence = Silence(plan.agent.silence, deadlines)
        self._is_greeting = bool(plan.agent.greeting_message)
        self._has_greeted = False
        self.is_quiet = False
        """Whether nobody speaks and nothing is on its way, as `settle` has found."""
        self.spend = Spend(plan, outbox)
        self.breaks = Breaks(parts, self._acts)
        self.speaking = Speaking(parts)
        self.course = Course(parts, self.requests, self.breaks, self.speaking, self.spend)
        self._restoring = Restoring(parts, self._functions)
        self._apply_cutting()

    @property
    def server_may_answer(self) -> bool:
        """Whether the server is to answer turns by itself now."""
        return self.turns.cutting is Cutting.INSTANT

    def receive(self, event: wire.ModelEvent, now: float) -> None:
        """An event of the session that is neither audio nor about the session itself."""
        match event:
            case wire.TranscriptDelta(item_id=item_id, delta=words):
                self.memory.bot_words(item_id, words, whole=False)
            case wire.TranscriptDone(item_id=item_id, transcript=words):
                self.memory.bot_words(item_id, words, whole=True)
            case wire.SpeechStarted(audio_start_ms=began_ms):
                self._speech_started(began_ms, now)
            case wire.SpeechStopped(audio_end_ms=stopped_ms):
                self._speech_stopped(stopped_ms, now)
            case wire.Committed(item_id=item_id):
                self.memory.caller_spoke(item_id, now)
                self.answering.turn_committed(now)
            case wire.CallerTranscript(item_id=item_id, transcript=words, usage=usage):
                self.transcript.caller_words(item_id, words, now)
                self.spend.transcribed(usage)
            case wire.Quiet():
                self.responses.progressed(now)
            case _:
                self.course.receive(event, now)

    # The bot

    def greet(self) -> None:
        """Both legs are up for the first time."""
        if self._is_greeting and not self._has_greeted:
            self._has_greeted = True
            self.responses.want(Wish(Kind.GREETING, prompts.word_for_word(self._agent.greeting_message)))

    def stream_started(self, now: float) -> None:
        """The first stream is there, whether the session is or not."""
        if self._is_greeting:
            self.waits.stream_started(now)

    # The caller

    def hear(self, payload: str, at_ms: int, now: float) -> bool:
        """The caller's sound while `turns.is_listening`. True when it confirmed that the caller is speaking."""
        if not self.turns.hear(payload, at_ms):
            return False
        if self.turns.confirm(self._inbound.clock_ms, now):
            self._floor_taken(now)
        return True

    def _speech_started(self, began_ms: int, now: float) -> None:
        padding_ms = self._agent.turn_detection.padding_ms
        ago_ms = self._inbound.ago_ms(began_ms) - padding_ms
        self.waits.caller_began()
        self.hold.stop()
        if self.turns.speech_started(self._inbound.clock_ms, now, began_at=now - max(0, ago_ms) / 1000):
            self._floor_taken(now)
        self.answering.turn_begun(now)
        self._silence.broken()
        self._outbox.happened("caller.speech_started")

    def _speech_stopped(self, stopped_ms: int, now: float) -> None:
        if not (self.playout.is_playing or self.turns.is_guarded):
            ago_ms = self._inbound.ago_ms(stopped_ms) + self._agent.turn_detection.silence_ms
            self.waits.caller_stopped(now - ago_ms / 1000, now)
        self.turns.speech_stopped(self._inbound.clock_ms)
        self.answering.turn_over(now)
        self._outbox.happened("caller.speech_stopped")

    def key_pressed(self, key: str, now: float) -> None:
        """A key cuts the bot like a confirmed turn, and begins or completes an entry."""
        self._silence.broken()
        self.hold.stop()
        if not (self.turns.cutting is Cutting.NEVER or self.requests.is_entered):
            self.turns.take_floor(self._inbound.clock_ms, now, by_key=True)
            self._floor_taken(now)
        if self.requests.key(key, now):
            return
        if self._keys.press(key):
            self.keys_complete(now)
        else:
            self._deadlines.set("keys.pause", now + self._agent.keys.pause_s)

    def keys_complete(self, now: float) -> None:
        """The entry is complete: the model is told, and answers."""
        self._deadlines.clear("keys.pause")
        self._outbox.happened("keys.collected")
        self.transcript.tell("user", self._keys.take(), now)
        self.responses.want(Wish(Kind.ANSWER))

    def session_over(self, now: float) -> None:
        """The session is gone. What it left undone is wished for, and done by the next one."""
        self._restoring.session_over(now)
        self.answers.restart()
        if not self.playout.is_playing:
            self.speaking.heard_out(now)

    def session_begun(self, now: float) -> None:
        """There is a session, which is told what was before it."""
        self._restoring.tell()
        self.requests.restored(now)

    def came_back(self, errand: Errand, now: float) -> None:
        """The call has a stream again, in the same conversation: nothing is greeted again, and the model knows why."""
        self.playout.restart()
        self.waits.forget()
        self.hold.restart()
        self.answering.await_server(None)
        self.course.watch_again(now)
        if self._keys.is_collecting:
            self._deadlines.set("keys.pause", now + self._agent.keys.pause_s)
        untold = self.requests.came_back(errand, now)
        if self.breaks.end(now):
            if self._is_greeting and not has_heard(self.memory):
                self._has_greeted = False
                self.greet()
            else:
                untold = prompts.LINE_BROKE
        if untold is not None:
            self.transcript.tell("system", untold, now)
            self.responses.want(Wish(Kind.ANSWER))
        self._apply_cutting()

    # Silence and acts

    def say(self, words: str) -> None:
        """The operator wants something said, word for word."""
        self.responses.want(Wish(Kind.SAY, prompts.word_for_word(words)))

    @property
    def transfer_hindrance(self) -> str:
        """Why the caller cannot be handed over now, though they can be spoken to; empty when they can."""
        return self._acts.hindrance

    def transfer(self, destination: str, summary: str, now: float) -> None:
        """The operator wants the caller handed over: that goes before whatever else is announced."""
        self._acts.give_way()
        self.requests.transfer(destination, summary, now)

    def silence_due(self, now: float) -> None:
        """The line has been quiet for long enough."""
        if self._silence.prompt():
            self._outbox.happened("caller.prompted")
            self.responses.want(Wish(Kind.NUDGE, prompts.STILL_THERE))
        else:
            self.announce(Act(Ending.NO_INPUT, Order("hang_up"), prompts.NO_INPUT_GOODBYE), now)

    def announce(self, act: Act, now: float) -> None:
        """Begin an act, unless one is pending: it is done when its announcement is heard."""
        self._acts.begin(act, now)
        self._apply_cutting()

    def broken_off(self, now: float) -> None:
        """The stream is lost; `came_back` when there is another."""
        self.hold.stop()
        self.breaks.begin(self._inbound.clock_ms, now)
        self.transcript.settle(except_items=self.memory.items_of(self.responses.active_id))

    def leave_message(self, words: str, now: float) -> None:
        """A machine listens: nothing but the message is said any more, in full, and then the call ends."""
        self._is_greeting = False
        self.turns.stop_bot(self._inbound.clock_ms, now)
        self._deadlines.clear("playout.overdue")
        self.waits.forget()
        self.transcript.settle(except_items=self.memory.items_of(self.responses.active_id))
        self._acts.leave_message(words, now)
        self._apply_cutting()

    def act_overdue(self) -> Act | None:
        """The announcement has taken too long: the act is done now."""
        return self._acts.overdue()

    # The joint rules

    def settle(self, now: float) -> Act | None:
        """Apply the rules above. The act that is returned must be done at once."""
        responses, turns = self.responses, self.turns
        playing = self.playout.is_playing
        if self._is_greeting and not playing and not responses.wants(Kind.GREETING):
            self._is_greeting = False
            self._apply_cutting()
        self.requests.settle(now)
        act = self.settle_act(now)
        if act is not None:
            return act
        speaking = turns.is_open or self._keys.is_collecting
        self.answering.settle(is_quiet=not (speaking or playing or responses.active))
        if not (self.server_may_answer and turns.is_open):  # a turn is answered by whom it began under
            self._session.control_turns(server_answers=self.server_may_answer)
        if responses.next_kind in FIRST or not (speaking or self.answering.awaits_server):
            responses.ask(now)
        if not (responses.is_busy or self.answering.awaits_server):
            self.hold.stop()
        elif not (playing or speaking):
            self.hold.expect(now, within_s=SLOW_S)
        waits = self.answering.awaits_server or self._acts.is_pending
        busy = playing or speaking or responses.is_busy or self._functions.is_busy
        self.is_quiet = not (busy or waits)
        self._silence.watch(now, quiet=self.is_quiet)
        return None

    @property
    def is_announcing(self) -> bool:
        """Whether an act is pending whose announcement is complete, or of which what was made is still to be heard."""
        return self._acts.is_pending and (self._is_announcement_made or self.playout.is_playing)

    @property
    def _is_announcement_made(self) -> bool:
        return self.responses.active is None and not self.responses.wants(Kind.ANNOUNCEMENT)

    def settle_act(self, now: float) -> Act | None:
        """The act whose announcement is heard, with or without a session: it must be done at once."""
        unheard_ms = self.playout.unheard_ms(self._inbound.clock_ms)
        return self._acts.due(now, is_made=self._is_announcement_made, unheard_ms=unheard_ms)

    def over(self) -> None:
        """The call is over: what was heard is final, of a response that is being made as well."""
        self.playout.clear(self._inbound.clock_ms)
        self.transcript.settle()

    def filler_due(self, now: float) -> None:
        """A function is slow."""
        silent = not (self.playout.is_playing or self.turns.caller_speaking or self.responses.is_busy)
        self.requests.filler_due(now, is_quiet=silent and not self._acts.is_pending)

    def _change_agent(self, name: str) -> None:
        """Another agent goes on with the conversation: what it is told, what it may do, and how it takes turns."""
        colleague = self._plan.colleagues[name]
        self._agent = agent = colleague.agent
        self._session.change_agent(agent, colleague.tools, may_change_voice=not self.memory.has_bot_spoken)
        self._keys = Keys(agent.keys.terminator)
        self._silence = Silence(agent.silence, self._deadlines)
        self.turns.listen_for(agent.barge_in.confirm_ms)
        self._apply_cutting()

    def _apply_cutting(self) -> None:
        """What it takes to cut the bot now: nothing cuts a protected greeting, a confirmed turn an announcement."""
        agent = self._agent
        if (self._is_greeting and agent.greeting_protected) or self.responses.is_closing:
            self.turns.cutting = Cutting.NEVER
        elif self._acts.is_pending:
            self.turns.cutting = Cutting.CONFIRMED
        else:
            self.turns.cutting = Cutting(agent.barge_in.mode)
        self.turns.is_guarded = self._acts.is_pending

    def _floor_taken(self, now: float) -> None:
        """The caller has the floor: an act that was announced does not happen, and the model is told so."""
        self.waits.forget()
        self._deadlines.clear("playout.overdue")
        self.transcript.settle(except_items=self.memory.items_of(self.responses.active_id))
        act = self._acts.undo()
        if act is None:
            return
        untold = self.requests.undone(act)
        if untold is not None:
            self.transcript.tell("system", untold, now)
        self._apply_cutting()
