"""A simulated carrier: does what Twilio does, as strictly, on this machine.

```
carrier.py       Carrier: numbers, calls, the record of all requests, the log of errors and warnings
call.py          Call: one leg, from ringing to its end            handset.py   the telephone at its far end
people.py        Caller, Callee: who is on the telephone            rooms.py     where legs hear each other
webhooks.py      signed requests to the bridge                     records.py   what is written down
twiml.py         TwiML text to verbs                               flow.py      how documents hand over
verbs.py         the interpreter; longer verbs: dial.py, gather.py, queues.py, conferences.py
stream.py        <Connect><Stream>: the media stream and its playout buffer
rest.py          the REST interface; rest_server.py serves it, rest_resources.py is its JSON, outbound.py, recordings.py
account.py       the account: numbers and whom they ask, permissions; rest_account.py is its part of the interface
```

Start reading at `carrier.py`, then `call.py`, `verbs.py` and `stream.py`.
"""

from __future__ import annotations

from bridge.rehearsal.carrier.call import Call
from bridge.rehearsal.carrier.carrier import PUBLIC_URL, Carrier
from bridge.rehearsal.carrier.people import Callee, Caller, Script
from bridge.rehearsal.carrier.records import Event, Exchange, Notice, Params
from bridge.rehearsal.carrier.stream import MediaStream

__all__ = [
    "PUBLIC_URL",
    "Call",
    "Callee",
    "Caller",
    "Carrier",
    "Event",
    "Exchange",
    "MediaStream",
    "Notice",
    "Params",
    "Script",
]
