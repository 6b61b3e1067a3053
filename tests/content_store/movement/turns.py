"""Threads that take their steps in an order that the test says."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence


class Stepper:
    """Runs `work`, which calls the function that it is given before each step, one at a time.

    Attributes:
        steps: How many it has taken.
        is_finished: It has returned, or raised.
    """

    def __init__(self, work: Callable[[Callable[[str], None]], None]) -> None:
        self.steps = 0
        self.is_finished = False
        self.error: BaseException | None = None
        self._waits = threading.Semaphore(0)
        self._goes = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,))
        self._thread.start()
        self._waits.acquire()

    def step(self) -> None:
        """Let it go as far as before its next step, or to its end."""
        self.steps += 1
        self._goes.release()
        self._waits.acquire()
        if self.is_finished:
            self._thread.join()
            if self.error is not None:
                raise self.error

    def _run(self, work: Callable[[Callable[[str], None]], None]) -> None:
        try:
            work(self._before_a_step)
        except BaseException as error:  # Raised by `step`.
            self.error = error
        self.is_finished = True
        self._waits.release()

    def _before_a_step(self, _: str) -> None:
        self._waits.release()
        self._goes.acquire()


def random_orders(
    start: Callable[[], Sequence[Stepper]], count: int, seed: int
) -> Iterator[list[int]]:
    """So many orders, each step by any that can take one, once taken."""
    choose = random.Random(seed)
    for _ in range(count):
        steppers = start()
        order: list[int] = []
        while running := [i for i, each in enumerate(steppers) if not each.is_finished]:
            order.append(choose.choice(running))
            steppers[order[-1]].step()
        yield order


def every_order(start: Callable[[], Sequence[Stepper]]) -> Iterator[list[int]]:
    """Each order in which the steppers that `start` makes can take their steps, once taken."""
    waiting: list[list[int]] = [[]]
    while waiting:
        order = waiting.pop()
        steppers = start()
        for number in order:
            steppers[number].step()
        while running := [i for i, each in enumerate(steppers) if not each.is_finished]:
            # The others of this point come later.
            waiting.extend([*order, number] for number in running[1:])
            order = [*order, running[0]]
            steppers[running[0]].step()
        yield order
