"""The embedded Realtime server, piece by piece; `bridge.rehearsal.model` opens it to the world.

One client event's journey, and the order to read in:

```
door            who may connect, to which path, in which dialect
session         one connection: carries out each event or refuses it
dialect         what a dialect must say: ga and beta, each with the shapes of its events in ga_schema and beta_schema
events          client events both dialects share, and what the others mean
refusal         a client event that is not accepted, as the `error` event says it
settings        what a session is set to, in words of no dialect
hearing         the input audio buffer and the turns in it
understanding   recognition beside the conversation, and transcription events
items, writing  the conversation, and what a client writes into it
responses       who may speak; one response from created to done
performance     what a response says, in paced deltas
idle            the caller's silence after a response
audio           the formats of the wire and the mu-law of the phone line
ports           what the server needs of its ears, mouth and mind
outbox          events on their way out; bounded
scripted        all of it without speech and socket, for tests
```
"""
