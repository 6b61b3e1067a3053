"""A cache over `open_backend` whose server is put through something, and what became of it.

The promise: nothing is raised; while the server is down the caller loses no more than two seconds
in all; within fifteen seconds of its return values come again; every sample tells what happened.
"""

import time
from collections.abc import Callable, Collection

from torchstash.cache import (
    Closable,
    MemorySink,
    RemoteCache,
    RemoteCachePassthroughSerde,
    open_backend,
)
from torchstash.cache.wrappers import BreakerLimits, Guarded
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OPERATION_GET,
    OUTCOME_HIT,
    OUTCOME_MISS,
    OUTCOME_SKIPPED,
    OUTCOME_STORED,
    OUTCOME_TIMED_OUT,
    CacheSample,
    Outcome,
)
from torchstash.tests.cache.backend_contract import content

KEY = "known"
# Larger than what lies inline anywhere, and than the buffers of sockets when cut in the middle.
VALUE = content(120_000)
ROUNDS = 100

_WELL = (OUTCOME_HIT, OUTCOME_MISS, OUTCOME_STORED)
_LOST_SECONDS = 2.0
# What a machine that is busy with other things may add to 200 operations.
_BUSY_SECONDS = 4.0
_PATIENCE_SECONDS = 60.0
# So long after a probe was due it must have ended; a busy machine gets another one.
_PROBE_SECONDS = 5.0


class Trial:
    """A cache that is well: `VALUE` lies under `KEY`.

    The breaker's clock is moved by hand where the promise says "seconds later".
    """

    def __init__(self, url: str) -> None:
        self.backend = open_backend(url)
        self.sink = MemorySink()
        self.cache: RemoteCache[bytes] = RemoteCache(
            self.backend, RemoteCachePassthroughSerde(), sink=self.sink
        )
        self._later_seconds = 0.0
        self.breaker = _guarded(self.backend).breaker
        self.breaker._clock = lambda: time.monotonic() + self._later_seconds

    def put_known(self) -> None:
        """Let `VALUE` lie under `KEY`."""
        self._until(lambda: self._outcome_of_put() == OUTCOME_STORED)
        self.comes_back()

    def _outcome_of_put(self) -> Outcome:
        self.cache.put(KEY, VALUE)
        return self.sink.samples[-1].outcome

    def suffer(
        self,
        *,
        gets: Collection[Outcome],
        puts: Collection[Outcome],
    ) -> None:
        """Get and put for a while, and be told how it ended: once at least as expected.

        Args:
            gets: The outcomes of gets, beside that the breaker skips them and that time is up.
            puts: The outcomes of puts.
        """
        self.sink.clear()
        for i in range(ROUNDS):
            found = self.cache.get(KEY)
            assert found is None or found == VALUE
            self.cache.put(f"new/{i}", VALUE + b"%d" % i)
        samples = self.sink.samples
        _check([one for one in samples if one.operation == OPERATION_GET], gets)
        _check([one for one in samples if one.operation != OPERATION_GET], puts)
        lost = sum(
            one.total_duration.seconds + one.total_duration.nanos / 1e9
            for one in samples
            if one.outcome not in _WELL
        )
        assert lost < _LOST_SECONDS + _BUSY_SECONDS, f"{lost:.2f} s lost in {len(samples)} samples"

    def comes_back(self) -> None:
        """Ten seconds later, the time of a probe, `VALUE` comes back by itself."""
        self._until(lambda: self.cache.get(KEY) == VALUE)

    def close(self) -> None:
        """Close the backend. Else its connections last until a garbage collection."""
        assert isinstance(self.backend, Closable)
        self.backend.close()

    def _until(self, is_well: Callable[[], bool]) -> None:
        give_up = time.monotonic() + _PATIENCE_SECONDS
        next_probe = 0.0
        while not is_well():
            now = time.monotonic()
            assert now < give_up, self.sink.samples[-1]
            if now > next_probe:
                self._later_seconds += BreakerLimits().probe_seconds
                next_probe = now + _PROBE_SECONDS
            time.sleep(0.01)


def _check(samples: list[CacheSample], expected: Collection[Outcome]) -> None:
    outcomes = [sample.outcome for sample in samples]
    names = {Outcome.Name(outcome) for outcome in outcomes}
    assert set(outcomes) & set(expected), names
    # The first may find a connection that was cut when the fault began.
    assert set(outcomes[1:]) <= {*expected, OUTCOME_SKIPPED, OUTCOME_TIMED_OUT}, names
    for sample in samples:
        if sample.outcome not in _WELL:
            assert sample.fail_reason, sample


def _guarded(backend: object) -> Guarded:
    while not isinstance(backend, Guarded):
        backend = vars(backend)["inner"]
    return backend
