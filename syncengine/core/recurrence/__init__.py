"""Recurrence: `rule` reads a rule's text, `expand` lists its occurrences, `translate` says it in a server's `pattern`s,
`back` says a server's series in a calendar's words, `answer` explains both to people."""
