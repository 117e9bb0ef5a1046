"""The peers of a bridge under load, in one process: carriers that call, and the model that they are connected to.

Both ends share one clock, and each frame carries whose it is, its number and when it was sent, so that loss, order,
place and the time inside the bridge are known for every frame, in both directions. By picows, and one timer for all
calls, so that the peers need less of their core than the bridge needs of its own.

Run by `bench.level`: says where its model listens on the first line of its output, reads a `Job` from its input, and
writes `Figures` on the second line.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import ssl
import struct
import sys
import time
from pathlib import Path
from typing import Self
from urllib.parse import urlencode, urlsplit

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_connect, ws_create_server

from bench.figures import Figures, Job, percentile
from bench.functions import TAKES_S
from bench.processes import cpu_s, rss_kb

FRAME_MS, FRAME_BYTES = 20, 160
DELTA_MS = 200
DELTAS_PER_TURN = 50
"""Ten seconds."""
WAITING_S = 2.0
"""How long is looked what waiting calls take; a stream that is silent for longer is asked whether it lives."""
FUNCTION_EVERY_S = TAKES_S + 0.5
STAMP = struct.Struct("<IIQQ")
STAMP_CHARACTERS = 32
"""24 bytes as base64."""
UP_TAIL = base64.b64encode(bytes(range(24, 160))).decode()
DOWN_TAIL = base64.b64encode(b"\x9e" * (8 * DELTA_MS - STAMP.size)).decode()
TEXT = WSMsgType.TEXT
_AUDIO, _PAYLOAD = b'"audio"', b'"payload"'
_FORMATS = {side: {"format": {"type": "audio/pcmu"}} for side in ("input", "output")}


class Tally:
    """What is counted while the window is open."""

    def __init__(self) -> None:
        self.is_open = False
        self.up_ms: list[float] = []
        self.down_ms: list[float] = []
        self.clear_ms: list[float] = []
        self.late_ms: list[float] = []
        self.webhook_ms: list[float] = []
        self.lost = 0
        self.misplaced = 0
        self.answered = 0

    def arrived(self, latencies: list[float], stamp: bytes, sender: Counter) -> None:
        """A stamped piece of sound has come."""
        who, _, number, sent_ns = STAMP.unpack(base64.b64decode(stamp))
        if self.is_open:
            latencies.append((time.monotonic_ns() - sent_ns) / 1e6)
            self.misplaced += sender.who not in (who, -1)
            self.lost += number - sender.next if sender.who == who else 0
        sender.who, sender.next = who, number + 1


class Counter:
    """Whose sound comes on a socket, and which number must come next."""

    def __init__(self) -> None:
        self.who = -1
        self.next = 0


def stamp(who: int, number: int) -> str:
    """The beginning of a piece of sound: whose it is, its number, and now."""
    return base64.b64encode(STAMP.pack(who, 0, number, time.monotonic_ns())).decode()


class Socket(WSListener):
    """What both ends do with a closing socket."""

    transport: WSTransport
    is_open = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin."""
        self.transport = transport
        self.is_open = True
        self.opened()

    def opened(self) -> None:
        """The socket is open."""

    def received(self, text: bytes) -> None:
        """A message has come."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a message, or close."""
        if frame.msg_type == TEXT:
            self.received(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows's signature
        """Stop."""
        self.is_open = False

    def send(self, text: str) -> None:
        """Send a text message."""
        self.transport.send(TEXT, text)


class Peer(Socket):
    """One session of the model: speaks all the time, and hears the caller begin every ten seconds."""

    def __init__(self, tally: Tally, number: int) -> None:
        super().__init__()
        self.is_configured = False
        self.interrupted_ns = 0
        self._tally = tally
        self._number = number
        self._caller = Counter()
        self._deltas = 0
        self._turn = 0
        self._calls = 0

    @property
    def caller(self) -> int:
        """The number of the call it is in; -1 until its sound has come."""
        return self._caller.who

    def opened(self) -> None:
        """Greet the client."""
        self.send('{"type":"session.created","event_id":"event_0","session":{"type":"realtime"}}')

    def received(self, text: bytes) -> None:
        """Count sound, and confirm the session."""
        at = text.find(_AUDIO)
        if at >= 0 and b"input_audio_buffer.append" in text:
            begin = text.index(b'"', at + len(_AUDIO)) + 1
            self._tally.arrived(self._tally.up_ms, text[begin : begin + STAMP_CHARACTERS], self._caller)
        elif b'"session.update"' in text:
            session = json.loads(text)["session"] | {"audio": _FORMATS}
            self.send(json.dumps({"type": "session.updated", "event_id": "event_1", "session": session}))
            self.is_configured = True
        elif b'"function_call_output"' in text:
            self._tally.answered += 1

    def call_function(self, name: str) -> None:
        """Call one of the operator's functions, in the response that is being spoken."""
        self._calls += 1
        call = {"name": name, "call_id": f"call_{self._calls}", "arguments": "{}"}
        item = {"id": f"item_f{self._calls}", "type": "function_call", "status": "completed", **call}
        done = {"response_id": f"resp_{self._number}_{self._turn}", "output_index": 1, "item": item}
        self.send(json.dumps({"type": "response.output_item.done", "event_id": "event_7", **done}))

    def speak(self) -> None:
        """The next 200 ms, with their words; before the first of a turn, its response and item."""
        if self._deltas == 0 or (self._deltas + self._number) % DELTAS_PER_TURN == 0:  # not all at once
            self._begin_turn()
        ids = f'"response_id":"resp_{self._number}_{self._turn}","item_id":"item_{self._number}_{self._turn}"'
        place = f'"event_id":"event_{self._deltas:021}",{ids},"output_index":0,"content_index":0'
        sound = stamp(self._number, self._deltas) + DOWN_TAIL
        self.send(f'{{"type":"response.output_audio.delta",{place},"delta":"{sound}"}}')
        self.send(f'{{"type":"response.output_audio_transcript.delta",{place},"delta":" word","obfuscation":"aZ09"}}')
        self._deltas += 1

    def _begin_turn(self) -> None:
        if self._deltas:
            item = f'"item_id":"item_u{self._turn}"'
            self.interrupted_ns = time.monotonic_ns()
            self.send(f'{{"type":"input_audio_buffer.speech_started","event_id":"event_2","audio_start_ms":0,{item}}}')
            response = {"id": f"resp_{self._number}_{self._turn}", "status": "cancelled", "output": []}
            self.send(json.dumps({"type": "response.done", "event_id": "event_3", "response": response}))
            self.send(f'{{"type":"input_audio_buffer.speech_stopped","event_id":"event_4","audio_end_ms":0,{item}}}')
        self._turn += 1
        response = {"id": f"resp_{self._number}_{self._turn}", "status": "in_progress", "output": []}
        self.send(json.dumps({"type": "response.created", "event_id": "event_5", "response": response}))
        item_body = {"id": f"item_{self._number}_{self._turn}", "type": "message", "role": "assistant", "content": []}
        added = {"response_id": response["id"], "output_index": 0, "item": item_body}
        self.send(json.dumps({"type": "response.output_item.added", "event_id": "event_6", **added}))


class Caller(Socket):
    """One media stream: speaks in real time, plays what comes, and returns the marks of what it has played."""

    def __init__(self, tally: Tally, number: int, token: str, peers: Peers) -> None:
        super().__init__()
        self._tally = tally
        self._number = number
        self._token = token
        self._peers = peers
        self._frames = 0
        self._bot = Counter()
        self._sid = f"MZ{number:032x}"
        self._played_at = 0.0
        self._marks: list[tuple[float, str]] = []

    def opened(self) -> None:
        """Say `connected` and `start`."""
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        ids = {"accountSid": f"AC{0:032x}", "streamSid": self._sid, "callSid": call_sid(self._number)}
        start = {**ids, "tracks": ["inbound"], "mediaFormat": form, "customParameters": {"token": self._token}}
        self.send('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        self.send(json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": self._sid}))

    def speak(self) -> None:
        """The next 20 ms, and the marks of what was played meanwhile."""
        chunk, at_ms = self._frames + 1, self._frames * FRAME_MS
        self.send(
            f'{{"event":"media","sequenceNumber":"{chunk + 1}","media":{{"track":"inbound","chunk":"{chunk}",'
            f'"timestamp":"{at_ms}","payload":"{stamp(self._number, self._frames)}{UP_TAIL}"}},'
            f'"streamSid":"{self._sid}"}}'
        )
        self._frames += 1
        now = time.monotonic()
        while self._marks and self._marks[0][0] <= now:
            self._return(self._marks.pop(0)[1])

    def received(self, text: bytes) -> None:
        """Play, mark, or throw away."""
        at = text.find(_PAYLOAD)
        if at >= 0:
            begin = text.index(b'"', at + len(_PAYLOAD)) + 1
            self._tally.arrived(self._tally.down_ms, text[begin : begin + STAMP_CHARACTERS], self._bot)
            self._played_at = max(self._played_at, time.monotonic()) + DELTA_MS / 1000
            return
        message = json.loads(text)
        if message["event"] == "mark":
            self._marks.append((self._played_at, message["mark"]["name"]))
        elif message["event"] == "clear":
            peer = self._peers.of(self._bot.who)
            if self._tally.is_open and peer is not None:
                self._tally.clear_ms.append((time.monotonic_ns() - peer.interrupted_ns) / 1e6)
            self._played_at = 0.0
            for _, name in self._marks:
                self._return(name)
            self._marks.clear()

    def _return(self, mark: str) -> None:
        body = f'"sequenceNumber":"1","mark":{{"name":"{mark}"}},"streamSid":"{self._sid}"'
        self.send(f'{{"event":"mark",{body}}}')

    def hang_up(self) -> None:
        """Say `stop`, and close."""
        self.send(f'{{"event":"stop","sequenceNumber":"1","stop":{{}},"streamSid":"{self._sid}"}}')
        self.transport.send_close()
        self.transport.disconnect()


class Peers:
    """All sessions of the model."""

    def __init__(self, tally: Tally) -> None:
        self.all: list[Peer] = []
        self._tally = tally

    def listen(self, _: WSUpgradeRequest) -> Peer:
        """A client has come."""
        self.all.append(Peer(self._tally, len(self.all)))
        return self.all[-1]

    def of(self, number: int) -> Peer | None:
        """The session of that number."""
        return self.all[number] if 0 <= number < len(self.all) else None


def call_sid(number: int) -> str:
    """The name of a call."""
    return f"CA{number:032x}"


class Line:
    """Where calls come in: by webhook and signed handshake, or, for a bridge without, by the handshake alone."""

    def __init__(self, job: Job, tally: Tally, peers: Peers) -> None:
        self._job = job
        self._tally = tally
        self._peers = peers
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        if self._job.webhook_url:
            parts = urlsplit(self._job.webhook_url)
            self._reader, self._writer = await asyncio.open_connection(parts.hostname, parts.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._job.webhook_url:
            self._writer.close()

    async def call(self, number: int) -> Caller:
        """A call whose stream has begun."""
        job = self._job
        url, headers, token = job.media_url, {}, ""
        if job.webhook_url:
            signed_url, token = await self._ring(number)
            headers = {"X-Twilio-Signature": self._sign(signed_url, {})}
            url += urlsplit(signed_url).path
        _, caller = await ws_connect(
            lambda: Caller(self._tally, number, token, self._peers), url, extra_headers=headers
        )
        assert isinstance(caller, Caller)  # noqa: S101 - the factory above
        return caller

    async def _ring(self, number: int) -> tuple[str, str]:
        form = {
            "CallSid": call_sid(number),
            "AccountSid": f"AC{0:032x}",
            "From": f"+1555{number:07}",
            "To": "+15551230000",
            "CallStatus": "ringing",
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
        }
        began = time.monotonic()
        answer = await self._post("/twiml/answer", form)
        self._tally.webhook_ms.append((time.monotonic() - began) * 1000)
        url, token = re.search(r'url="([^"]+)"', answer), re.search(r'name="token" value="([^"]+)"', answer)
        if url is None or token is None:
            raise SystemExit(f"the bridge answered a call with: {answer[:300]}")
        return url[1], token[1]

    async def _post(self, path: str, form: dict[str, str]) -> str:
        signature = self._sign(f"{self._job.public_url}{path}", form)
        body = urlencode(form).encode()
        self._writer.write(
            f"POST {path} HTTP/1.1\r\nHost: bench.test\r\nX-Twilio-Signature: {signature}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", head)
        return (await self._reader.readexactly(int(length[1]) if length else 0)).decode()

    def _sign(self, url: str, form: dict[str, str]) -> str:
        text = url + "".join(key + form[key] for key in sorted(form))
        return base64.b64encode(hmac.new(self._job.auth_token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class Metronome:
    """Lets each caller speak every 20 ms and each peer every 200 ms, their phases spread, by one timer."""

    def __init__(self, tally: Tally, callers: list[Caller], peers: Peers) -> None:
        self._tally = tally
        self._callers = [callers[phase::FRAME_MS] for phase in range(FRAME_MS)]
        self._peers = [peers.all[phase::DELTA_MS] for phase in range(DELTA_MS)]

    async def run(self) -> None:
        """Until cancelled; a tick that comes late is made up for at once, and the delay is counted."""
        loop = asyncio.get_running_loop()
        began, tick = loop.time(), 0
        while True:
            due = began + tick / 1000
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            late_s = loop.time() - due
            if self._tally.is_open:
                self._tally.late_ms.append(late_s * 1000)
            for caller in self._callers[tick % FRAME_MS]:
                if caller.is_open:
                    caller.speak()
            for peer in self._peers[tick % DELTA_MS]:
                if peer.is_open and peer.caller >= 0:
                    peer.speak()
            tick += 1
            if late_s > 0:
                await asyncio.sleep(0)  # look at the sockets too


async def main() -> None:
    """Play both peers of one bridge, as the job says."""
    tally = Tally()
    peers = Peers(tally)
    tls = None
    if len(sys.argv) > 1:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(Path(sys.argv[1]) / "cert.pem", Path(sys.argv[1]) / "key.pem")
    server = await ws_create_server(peers.listen, "127.0.0.1", 0, ssl=tls, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    figures = await _play(msgspec.json.decode(line, type=Job), tally, peers)
    print(msgspec.json.encode(figures).decode(), flush=True)


async def _play(job: Job, tally: Tally, peers: Peers) -> Figures:
    idle_kb, idle_cpu_s = rss_kb(job.pid), cpu_s(job.pid)
    callers = []
    began = time.monotonic()
    async with Line(job, tally, peers) as line:
        for number in range(job.calls):
            await asyncio.sleep(max(0.0, began + number / job.new_calls_per_s - time.monotonic()))
            callers.append(await line.call(number))
            for quiet in callers[number % 100 :: 100]:
                quiet.speak()  # a stream that is silent for long is given up
    await asyncio.sleep(0.5)
    took_s, setup_cpu_s = time.monotonic() - began, cpu_s(job.pid) - idle_cpu_s
    setup_cpu_s -= await _waiting_cpu(job.pid) / 2 * took_s  # on average half of the calls were there
    ticking = asyncio.create_task(Metronome(tally, callers, peers).run())
    await asyncio.sleep(job.warm_s)
    tally.is_open = True
    probing = asyncio.create_task(_call_functions(job.function, peers.all[0])) if job.function else None
    cpu_0, own_0, opened = cpu_s(job.pid), time.process_time(), time.monotonic()
    await asyncio.sleep(job.window_s)
    cpu_1, own_1, seconds = cpu_s(job.pid), time.process_time(), time.monotonic() - opened
    tally.is_open = False
    full_kb = rss_kb(job.pid)
    ticking.cancel()
    if probing is not None:
        probing.cancel()
    figures = Figures(
        calls=job.calls,
        alive=sum(caller.is_open for caller in callers),
        cpu_percent=(cpu_1 - cpu_0) / seconds * 100,
        cpu_ms_per_call_s=(cpu_1 - cpu_0) / seconds / job.calls * 1000,
        up_p50_ms=percentile(tally.up_ms, 50),
        up_p99_ms=percentile(tally.up_ms, 99),
        up_max_ms=percentile(tally.up_ms, 100),
        down_p50_ms=percentile(tally.down_ms, 50),
        down_p99_ms=percentile(tally.down_ms, 99),
        clear_p50_ms=percentile(tally.clear_ms, 50),
        clear_p99_ms=percentile(tally.clear_ms, 99),
        kb_per_call=(full_kb - idle_kb) / job.calls,
        setup_cpu_ms_per_call=setup_cpu_s / job.calls * 1000,
        webhook_p99_ms=percentile(tally.webhook_ms, 99),
        lost=tally.lost,
        misplaced=tally.misplaced,
        load_percent=(own_1 - own_0) / seconds * 100,
        answered=tally.answered,
        load_late_p99_ms=percentile(tally.late_ms, 99),
    )
    for caller in callers:
        if caller.is_open:
            caller.hang_up()
    await asyncio.sleep(0.5)
    return figures


async def _waiting_cpu(pid: int) -> float:
    """The share of a core that calls take which are set up, and wait for the others."""
    before = cpu_s(pid)
    await asyncio.sleep(WAITING_S)
    return (cpu_s(pid) - before) / WAITING_S


async def _call_functions(name: str, peer: Peer) -> None:
    """Keep a function of the operator's running."""
    while True:
        peer.call_function(name)
        await asyncio.sleep(FUNCTION_EVERY_S)


if __name__ == "__main__":
    uvloop.run(main())
