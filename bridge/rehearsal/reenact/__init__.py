"""A recorded call over real sockets: the simulated carrier plays the caller's side of a tape, a server the model's.

`parts` reads a tape into what each side has to play, `caller` and `model` play it, `likeness` says how what was done
about it differs from what was done then. Nothing here can be exact to the millisecond, so `likeness` has tolerances;
what is exact is `bridge.replay`, which has no sockets.
"""
