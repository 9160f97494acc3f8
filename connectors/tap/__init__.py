"""Paging over a modem: TAP 1.8 for alphanumeric pagers, key presses for numeric ones (PAG-1)."""
