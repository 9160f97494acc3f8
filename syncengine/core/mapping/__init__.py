"""Mapping files as values, and the two ways through them: item → activity fields (up) and back (down).

Reading order: `context`, `properties`, `converters`, `apply`; then `parse`, which makes a `Mapping` of an XML file.
"""
