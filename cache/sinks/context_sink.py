"""The sink of caches that were given none, for one context (PEP 567)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torchstash.cache.sinks.sample_sink import SampleSink

_DEFAULT_SINK: ContextVar[SampleSink | None] = ContextVar("default_sink", default=None)


def default_sink() -> SampleSink | None:
    """The sink that `sampling_to` has set here, or None. A new thread starts without one."""
    return _DEFAULT_SINK.get()


@contextmanager
def sampling_to(sink: SampleSink | None) -> Iterator[None]:
    """Inside the block, caches that were given no sink log to `sink` (None: not at all)."""
    token = _DEFAULT_SINK.set(sink)
    try:
        yield
    finally:
        _DEFAULT_SINK.reset(token)
