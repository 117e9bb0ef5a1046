"""Runs a recorded call through the same core on the tape's own clock; like the core it does no I/O and never waits."""
