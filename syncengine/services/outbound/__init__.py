"""The queue of what leaves: asking (`queue`), sending (`batch`), what a crash leaves behind (`take_up`), the regular
look (`tick`), and what people do with requests (`deeds`).

A request is asked for in the transaction of what it follows from. A worker takes a batch, sends one after the other,
and notes each answer at once, so that a crash leaves at most one request of which nobody knows whether it was sent.
"""

from syncengine.services.outbound.queue import Queue

__all__ = ["Queue"]
