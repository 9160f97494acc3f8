"""Connectors: one folder for each kind of PIM or server, I/O without cleverness.

Only `syncengine.bootstrap` imports them."""
