"""The synchronization itself, as decisions: absorb → correlate → reconcile → reflect, and the brakes.

`absorb` lays a changed item onto its proxy; `correlate` finds which proxy and activity belong together;
`reconcile` decides, from a table, what the server must be told; `reflect` what the item must show.
`roles` says who may change what. Nothing here does anything: `services.sync` carries it out.
"""
