"""The command line as `python -m tests.e2e.run_command ARGUMENTS`, for processes that need a terminal or a signal."""

from syncengine.cli.main import main

if __name__ == "__main__":
    main(prog_name="syncengine")
