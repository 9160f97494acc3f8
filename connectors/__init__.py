"""Connectors: one folder per kind of PIM or server; I/O without cleverness. Only `syncengine.bootstrap` imports them."""
