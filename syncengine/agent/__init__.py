"""The agent: runs each PIM when `core.schedule` says that it is due, until it is told to stop. It decides nothing.

`syncengine.agent.loop.Agent(..., on_event=hook)` calls the hook with each `model.agent.Event`.
"""
