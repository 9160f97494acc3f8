"""iCalendar text ↔ items. `lines` finds the structure without interpreting it, `read` makes an `Item` of it,
`write` changes named properties and leaves every other byte alone, `new` writes an item from nothing."""
