"""`attach`, `detach`, `attachments`: the files of an activity, as a user of the server handles them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from syncengine.cli.output import command, config_option, json_option, print_json, print_table, read_config, say, tell
from syncengine.cli.server import open_server
from syncengine.core.printable import one_line


@click.command()
@click.argument("activity_id", metavar="ID|UID")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="What the attachment is called; the file's name by default.")
@config_option
@json_option
@command
def attach(activity_id: str, file: Path, name: str, config_path: Path | None, *, as_json: bool) -> int:
    """Attach FILE to an activity. It travels to everybody's entry with the next runs."""
    from syncengine import bootstrap
    from syncengine.core.contents import shown_size
    from syncengine.services import attachments as service

    with ExitStack() as stack:
        attached = service.attach(
            open_server(read_config(config_path), stack), activity_id, file, bootstrap.new_id, name
        )
    shown = {"name": attached.name, "size": attached.size, "digest": attached.digest}
    tell(shown, f"{attached.name} is attached ({shown_size(attached.size)})", as_json=as_json)
    return 0


@click.command()
@click.argument("activity_id", metavar="ID|UID")
@click.argument("attachment", metavar="NAME|DIGEST")
@config_option
@json_option
@command
def detach(activity_id: str, attachment: str, config_path: Path | None, *, as_json: bool) -> int:
    """Take an attachment off an activity."""
    from syncengine import bootstrap
    from syncengine.services import attachments as service

    with ExitStack() as stack:
        gone = service.detach(open_server(read_config(config_path), stack), activity_id, attachment, bootstrap.new_id)
    tell({"name": gone.name, "detached": True}, f"{gone.name} is not attached any more", as_json=as_json)
    return 0


@click.command()
@click.argument("activity_id", metavar="ID|UID")
@click.option("--save", "folder", type=click.Path(file_okay=False, path_type=Path), help="Save the files into DIR.")
@config_option
@json_option
@command
def attachments(activity_id: str, folder: Path | None, config_path: Path | None, as_json: bool) -> int:
    """List the attachments of an activity, and save them. Links are listed, never followed."""
    from syncengine.core.contents import shown_size
    from syncengine.services import attachments as service

    with ExitStack() as stack:
        server = open_server(read_config(config_path), stack)
        activity = service.find(server, activity_id)
        found = service.of(activity)
        saved = [str(path) for path in service.save(server, activity, folder)] if folder else []
    if as_json:
        rows = [
            {"name": a.name, "type": a.media_type, "size": a.size if a.digest else None}
            | {"digest": a.digest or None, "link": a.uri or None}
            for a in found
        ]
        print_json({"activity": activity.id, "attachments": rows, "saved": saved})
        return 0
    shown = [[a.name, a.media_type, shown_size(a.size) if a.digest else "", a.uri or a.digest[:12]] for a in found]
    print_table(("name", "type", "size", "link or digest"), shown)
    for path in saved:
        say(f"saved {one_line(path)}")
    return 0
