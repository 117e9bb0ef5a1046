"""What a call does: values of two legs go in, actions come out, and the time is an argument.

Nothing here reads a clock, a socket or a file, or knows a vendor's JSON. Start at `machine.py`, which only routes; the
small objects beside it decide.
"""
