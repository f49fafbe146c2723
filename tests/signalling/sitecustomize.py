"""Python imports this where the folder is in PYTHONPATH: a signal comes when a test wants it.

    TEST_SIGNAL="<number> <name of a file> <path of a marker>"

The first process that is about to put a file of this name in its place sends the signal to its
whole process group, as Ctrl-C in a terminal does, and leaves the marker: it comes once.
"""

import os
import sys
from typing import Any

ASKED = os.environ.get("TEST_SIGNAL", "").split(" ", 2)


def hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "os.rename" or os.path.basename(os.fsdecode(arguments[1])) != ASKED[1]:
        return
    try:
        os.close(os.open(ASKED[2], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.killpg(os.getpgrp(), int(ASKED[0]))


if len(ASKED) == 3:
    sys.addaudithook(hear)
