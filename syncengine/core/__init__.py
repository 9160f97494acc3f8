"""Verbs: pure functions on values. No I/O, no clock, no log, no randomness, no SQL."""
