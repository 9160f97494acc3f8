"""The run: gather → decide → record the intent → do → record the result, one transaction per step.

`run` is the sequence; `pim_side` takes in what changed in the PIMs, `server_side` what changed on the server and
carries commands there, `item_writes` carries writes to the PIMs. Decisions are those of `core.sync`.
"""

from syncengine.services.sync.run import Sync
from syncengine.services.sync.work import Collection, Work

__all__ = ["Collection", "Sync", "Work"]
