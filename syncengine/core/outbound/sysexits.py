"""What the exit codes of a sendmail command mean (sysexits.h), as a table."""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.model.outbound import Verdict

MEANING: Mapping[int, tuple[Verdict, str]] = {
    0: (Verdict.SENT, "accepted"),
    64: (Verdict.NEVER, "it does not take these arguments"),  # EX_USAGE: an address it cannot read
    65: (Verdict.NEVER, "it refused the message's content"),  # EX_DATAERR
    66: (Verdict.NEVER, "it found no message"),  # EX_NOINPUT
    67: (Verdict.NEVER, "there is no such recipient"),  # EX_NOUSER
    68: (Verdict.NEVER, "there is no such host"),  # EX_NOHOST
    69: (Verdict.NEVER, "it could not deliver the message"),  # EX_UNAVAILABLE: a final failure
    70: (Verdict.LATER, "it failed inside"),  # EX_SOFTWARE
    71: (Verdict.LATER, "the system failed"),  # EX_OSERR
    72: (Verdict.STOP, "a file of the system is missing"),  # EX_OSFILE
    73: (Verdict.LATER, "it could not write its queue"),  # EX_CANTCREAT
    74: (Verdict.LATER, "reading or writing failed"),  # EX_IOERR
    75: (Verdict.LATER, "it asks to be tried later"),  # EX_TEMPFAIL
    76: (Verdict.LATER, "the far side did not keep to the protocol"),  # EX_PROTOCOL
    77: (Verdict.STOP, "this user may not send mail by it"),  # EX_NOPERM
    78: (Verdict.STOP, "its configuration is wrong"),  # EX_CONFIG
    126: (Verdict.STOP, "it cannot be run"),
    127: (Verdict.STOP, "it was not found"),
}
"""Exit code → what it means for the recipients, and in words. What is not here counts as a temporary failure."""
