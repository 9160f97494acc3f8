"""The command line: one module per group of commands, thin; `main` puts them together, `output` prints."""
