"""Scenarios: stories that are played with the real parts (CON-2).

`play` goes through the steps; `stage` holds who and what is there, `deeds` what people do, `runs` their runs of the
synchronization, `truths` what must be true.
"""

from syncengine.services.scenario.play import play
from syncengine.services.scenario.stage import DIRECTORY, GENERIC_OWNER, START, Stage

__all__ = ["DIRECTORY", "GENERIC_OWNER", "START", "Stage", "play"]
