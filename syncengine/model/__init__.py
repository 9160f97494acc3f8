"""Nouns: frozen values that every other part speaks in. Standard library only.

Reading order: `values`, `activity`, `pim`, `directory`, `mapping`, `proxy`, `plan`.
"""
