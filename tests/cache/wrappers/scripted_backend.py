"""A backend that does what a test tells it, and a clock that a test moves."""

import threading

from typing_extensions import override

from torchstash.cache import MemoryBackend


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class ScriptedBackend(MemoryBackend):
    """Memory that fails, hangs and counts.

    Attributes:
        error: Raised by every operation while it is set.
        hangs: Operations wait for `release` while it is set.
        calls: What was asked for.
        threads: In which thread each call ran.
    """

    def __init__(self) -> None:
        super().__init__()
        self.error: BaseException | None = None
        self.hangs = False
        self.release = threading.Event()
        self.entered = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
        self.calls: list[tuple[str, str]] = []
        self.threads: list[int] = []

    def _do(self, operation: str, key: str) -> None:
        self.calls.append((operation, key))
        self.threads.append(threading.get_ident())
        self.entered.release()
        try:
            if self.hangs:
                assert self.release.wait(60)
            if self.error is not None:
                raise self.error
        finally:
            self.left.release()

    @override
    def _get(self, key: str) -> bytes | None:
        self._do("get", key)
        return super()._get(key)

    @override
    def _put(self, key: str, data: object) -> None:
        self._do("put", key)
        super()._put(key, data)  # type: ignore[arg-type]
