"""The command line."""

import io
import os
import re
import sys

from seqloom.cli import encoding, stores
from seqloom.cli.commands import app
from seqloom.cli.terminal import say
from seqloom.cli.transfer import transfers
from seqloom.errors import SeqloomError

for command in encoding.COMMANDS:
    app.command()(command)
for group in (stores.vectors, stores.data, stores.imports, transfers):
    app.add_typer(group)


def main() -> None:
    """Run the command line; a user's mistake ends it with its message and status 1, never with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # What comes in is UTF-8; so is what goes out, whatever the terminal's language.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app()
    except SeqloomError as fault:
        say(str(fault))
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does; there is no one left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (MemoryError, RuntimeError) as fault:
        if isinstance(fault, RuntimeError) and not re.search(
            "allocate memory|tried to allocate|out of memory", str(fault).lower()
        ):
            raise
        say("out of memory: smaller parts of the model (hidden, size) or a smaller training.batch need less")
        sys.exit(1)
    except OSError as fault:
        say(f"{fault.filename or 'the system'}: {fault.strerror or fault}")
        sys.exit(1)
