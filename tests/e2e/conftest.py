from tests.e2e.desk import commands, desk

__all__ = ["commands", "desk"]
