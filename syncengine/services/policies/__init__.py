"""Workflow policies at work (POL-1): `monitor` lets them act, `background` has a worker do so, `telling` says what they
would say and do. What they ask for leaves by the queue (`services.outbound`), changes of records among it."""
