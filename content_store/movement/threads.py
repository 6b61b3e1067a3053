"""Work that several threads share, and that ends as one when a part of it fails."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class StoppedError(Exception):
    """This part of the work was given up, because another one failed."""


class Crew:
    """Runs functions on the threads of `executor`, until one of them fails."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._failed = threading.Event()

    def require_going_on(self) -> None:
        """For long functions, between their steps.

        Raises:
            StoppedError: Another one has failed.
        """
        if self._failed.is_set():
            raise StoppedError

    def run(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """The results in order, all of them; or the first error, when all threads have stopped."""

        def guarded(item: T) -> R:
            self.require_going_on()
            try:
                return function(item)
            except BaseException:
                self._failed.set()
                raise

        futures = [self._executor.submit(guarded, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException:
            # Interrupted from outside.
            self._failed.set()
            raise
        finally:
            if self._failed.is_set():
                for future in futures:
                    future.cancel()
                wait(futures)
        if self._failed.is_set():
            errors = [future.exception() for future in futures if not future.cancelled()]
            for error in errors:
                if error is not None and not isinstance(error, StoppedError):
                    self._failed.clear()
                    raise error
        return [future.result() for future in futures]
