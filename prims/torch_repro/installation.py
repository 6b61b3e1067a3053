"""Putting our store in the place of PyTorch's where repros are written and run.

`after_aot`, `after_dynamo` and the minifier reach their store by the names `ContentStoreWriter`
and `ContentStoreReader`, which `torch.utils._content_store` defines and others import from
there: each is replaced where it is. What `InputWriter` writes down of a graph's inputs begins
with a line that installs this again, so that a script finds its inputs in whatever process it
runs, the minifier's own among them.
"""

import contextlib
import functools
import importlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from torchstash.prims.reader import load_tensor_reader
from torchstash.prims.torch_repro.repro_store import (
    AnyReader,
    ReproWriter,
    is_our_store,
    open_reader,
)

SCRIPT_LINES: Final = (
    "import torchstash.prims.torch_repro",
    "torchstash.prims.torch_repro.install()  # The inputs lie in a torchstash store.",
)

_DEFINES: Final = "torch.utils._content_store"
_IMPORT_THEM: Final = (
    "torch._dynamo.debug_utils",
    "torch._functorch.fx_minifier",
    "torch._prims.debug_prims",
)


class Installation:
    """Our store in place of PyTorch's, until `uninstall` or the end of the `with` block.

    Several nest: the last one installed is uninstalled first.
    """

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()
        self._serving = self._undo.enter_context(contextlib.ExitStack())
        # Imported here, because it takes a second.
        modules = [importlib.import_module(name) for name in (_DEFINES, *_IMPORT_THEM)]
        for module in modules:
            for attribute, ours in (
                ("ContentStoreWriter", ReproWriter),
                ("ContentStoreReader", self._open_reader),
            ):
                if hasattr(module, attribute):
                    self._replace(module, attribute, ours)
        writer = importlib.import_module("torch._dynamo.debug_utils").InputWriter
        self._replace(writer, "lines", _with_script_lines(writer.lines))

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

    def _replace(self, holder: object, attribute: str, ours: object) -> None:
        self._undo.callback(setattr, holder, attribute, getattr(holder, attribute))
        setattr(holder, attribute, ours)

    def _open_reader(self, loc: str, *, cache: bool = True) -> AnyReader:
        """Where a script loads its inputs, `load_tensor` loads what the minifier offloaded."""
        self._serving.close()
        if is_our_store(loc):
            self._serving.enter_context(load_tensor_reader(loc))
        return open_reader(loc, cache=cache)


def install() -> Installation:
    """Let repros that PyTorch writes in this process keep their tensors in a torchstash store.

    The store is the folder `checkpoints` beside the script, where PyTorch's own would be. The
    scripts read it where torchstash can be imported, and a script that PyTorch wrote without us
    runs as before. What the minifier offloads with `--offload-to-disk` is loaded again, where
    PyTorch's own makes up data in its place.
    """
    return Installation()


def _with_script_lines(lines: Callable[[Any], list[str]]) -> Callable[[Any], list[str]]:
    @functools.wraps(lines)
    def with_script_lines(writer: Any) -> list[str]:  # noqa: ANN401 - an InputWriter
        found = lines(writer)
        if isinstance(writer.store, ReproWriter) and SCRIPT_LINES[0] not in found:
            return [*SCRIPT_LINES, "", *found]
        return found

    return with_script_lines
