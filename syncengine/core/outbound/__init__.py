"""What leaves, decided: the moves of a request (`moves`), when it is tried again (`retry`), and its JSON (`codec`)."""
