"""The project's own benchmark: what a call costs, how many fit on a core, and what the bridge adds to the latency.

`make bench`, or `python -m bench --help`. The bridge runs alone in a process of its own, pinned to one core; a second
process plays its peers: carriers that post signed webhooks and stream in real time, and a model that never stops
speaking and is interrupted every ten seconds. `docs/speed.md` tells what is measured and how to read it.
"""
