"""`voicebridge doctor`: checks everything between Twilio and the model, and says what to do about each finding.

```
commands.py      the command: finds the bridge or stands in for it, has the checks made, prints
checks.py        the list of all checks, each with its limit; they are made side by side
findings.py      what a check says: ok, warning, failed or skipped, and the way out
context.py       what the checks are given: settings, clocks, the carrier's REST, who listens here
codes.py         Twilio's error codes, as causes and ways out
arrival.py       asks a bridge how a request arrived, and what to make of the answer
certificate.py   public.py   stream.py    the public address: TLS, webhooks, the media stream's socket
account.py   destinations.py   signatures.py   model.py   machine.py      everything else, by subject
```

A check is an async function from a context to findings. It raises nothing for what it checks; what it could not make is
said to be skipped, with the reason.
"""
