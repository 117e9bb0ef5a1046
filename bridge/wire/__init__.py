"""Text to frozen values and back, for each leg; knows the vendors' spelling, takes no decision and does no I/O."""
