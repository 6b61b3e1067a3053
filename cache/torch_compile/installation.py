"""Putting our caches in the place of torch's, and taking them out again.

`torch._inductor.remote_cache.create_cache` looks its classes up by name on that module, so that
replacing the five names there reaches every caller.
"""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.sinks import SampleSink
from torchstash.cache.torch_compile.bundled_autotune_cache import BundledAutotuneCache
from torchstash.cache.torch_compile.compile_cache import CompileCache
from torchstash.cache.torch_compile.settings import remote_caches_enabled

_CLASSES: dict[str, type[CompileCache]] = {
    "RemoteAOTAutogradCache": CompileCache,
    "RemoteAutotuneCache": CompileCache,
    "RemoteBundledAutotuneCache": BundledAutotuneCache,
    "RemoteDynamoPGOCache": CompileCache,
    "RemoteFxGraphCache": CompileCache,
}


class Installation:
    """Our caches in place of torch's, until `uninstall` or the end of the `with` block.

    Several nest: the last one installed is uninstalled first.
    """

    def __init__(self, backend: RemoteCacheBackend[bytes], sink: SampleSink | None) -> None:
        # Imported here because it takes more than a second.
        from torch._inductor import remote_cache  # noqa: PLC0415

        self._undo = ExitStack()
        for name, base in _CLASSES.items():
            ours = type(name, (base,), {"shared_backend": backend, "shared_sink": sink})
            self._undo.callback(setattr, remote_cache, name, getattr(remote_cache, name))
            setattr(remote_cache, name, ours)
        self._undo.callback(_forget_made_caches)
        _forget_made_caches()
        self._undo.enter_context(remote_caches_enabled())

    def uninstall(self) -> None:
        """Put everything back. A second call does nothing."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.uninstall()


def install(backend: RemoteCacheBackend[bytes], *, sink: SampleSink | None = None) -> Installation:
    """Let `torch.compile` keep what it compiles in `backend`, in this process.

    The caches are those of compiled graphs, of autograd, of tuned kernels (each and bundled) and
    of profiles; they stand in `cache_counters` under torch's names ("RemoteFxGraphCache"). They
    are switched on for the calling thread: see `remote_caches_enabled` for others. No failure of
    `backend` reaches the compilation.

    Values are pickles, by torch's choice: whoever can write to `backend` can run code here.
    """
    return Installation(backend, sink)


def _forget_made_caches() -> None:
    """Let torch make its caches anew: it keeps the one of autograd for the whole process."""
    from torch._functorch._aot_autograd.autograd_cache import AOTAutogradCache  # noqa: PLC0415

    AOTAutogradCache.get_remote_cache.cache_clear()
