"""A progress bar for training: steps, loss, time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tabveil.synthesizers.base import LossRecord


@contextmanager
def training_progress(
    total_steps: int, enabled: bool, console: Console | None = None
) -> Iterator[Callable[[LossRecord], None]]:
    """A function that takes each loss record and moves the bar; without `enabled` nothing is shown.

    The time left assumes that all steps are needed; early stopping ends sooner.
    """
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console or Console(stderr=True), disable=not enabled) as bar:
        task = bar.add_task("training", total=total_steps, loss="")

        def advance(record: LossRecord) -> None:
            bar.update(task, completed=record.step, loss=_loss_text(record))

        yield advance


def _loss_text(record: LossRecord) -> str:
    if record.validation is None:
        return f"loss {record.train:.2f}"
    return f"loss {record.train:.2f}, validation {record.validation:.2f}"
