"""Workflow policies at work (POL-1): `monitor` lets them act, `telling` says what they would say and do.

`carrying_out` makes the changes of records they ask for.
"""
