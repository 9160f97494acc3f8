"""What leaves, decided: the moves of a request (`moves`), when it is tried again (`retry`), and its JSON (`codec`);
an email as bytes (`message`, with `address` and `dates`), and what a mail server's answers mean (`replies`); the number
a modem dials (`phone`)."""
