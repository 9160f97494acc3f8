"""A worker as `python -m tests.e2e.run_worker ARGUMENTS`, whose emails leave by the standard library alone."""

from syncengine.bootstrap import outbound
from syncengine.cli.main import main
from syncengine.model.outbound import Kind

if __name__ == "__main__":
    outbound.SENDERS[Kind.EMAIL] = "tests.e2e.smtp_sender:open_sender"
    main(["worker", *__import__("sys").argv[1:]], prog_name="syncengine")
