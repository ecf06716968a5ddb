"""The border between the process and the person who started it: every error is one line, exit codes are stable.

0: done; 2: an error that says what was expected, what was found and what to do; 130 and 143: interrupted, ended.
A traceback may show values of a table, so nobody sees one unless TABVEIL_DEBUG=1 asks for it.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tabveil.errors import TabVeilError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
DEBUG_VARIABLE = "TABVEIL_DEBUG"


@contextmanager
def process_border() -> Iterator[None]:
    """Run the block; turn what goes wrong into one line on stderr and an exit code."""
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except TabVeilError as err:
        fail(_with_notes(str(err), err))
    except KeyboardInterrupt as err:
        print(_with_notes("interrupted", err), file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    except Exception as err:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        fail(foreign(err))


def fail(message: str) -> NoReturn:
    """Print ``error: <message>`` and leave with exit code 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(EXIT_ERROR)


def _with_notes(message: str, err: BaseException) -> str:
    """The message and what could not be undone on the way out, such as a job that runs on."""
    return "; ".join([message, *getattr(err, "__notes__", [])])


def foreign(err: Exception) -> str:
    """An unforeseen error without its text, which may hold values of a table; of the operating system's, the text."""
    if isinstance(err, OSError) and err.errno is not None:
        return f"{err.strerror}: {err.filename}" if err.filename else str(err.strerror)
    frames = traceback.extract_tb(err.__traceback__)
    package = Path(__file__).parent
    own = [f for f in frames if package in Path(f.filename).parents and f.filename != __file__] or frames[1:] or frames
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "unknown place"
    return (
        f"unexpected {type(err).__name__} at {where}; set {DEBUG_VARIABLE}=1 to see the traceback, "
        "which may show values of the table"
    )


def _end(signum: int, _frame: FrameType | None) -> NoReturn:
    print("ended", file=sys.stderr)
    raise SystemExit(128 + signum)  # lets files be taken back and servers be stopped on the way out
