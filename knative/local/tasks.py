"""Background tasks that are referenced until they end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class TaskSet(set["asyncio.Task[None]"]):
    """The running tasks of an object: asyncio itself keeps weak references alone."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task and keep it until it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self.add(task)
        task.add_done_callback(self.discard)

    def cancel(self) -> None:
        """Cancel all that run."""
        for task in list(self):
            task.cancel()
