"""What PyTorch calls at the end of `import torch` where torchstash is installed.

The wheel names `autoload` as an entry point of the group `torch.backends`. It runs in every process
that imports PyTorch, so it costs nothing unless the environment asks for something, waits
until what it is asked to change is imported, and never raises.

    TORCHSTASH_REPRO=1      `torchstash.prims.torch_repro.install()`, for the life of the process
"""

import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Final

from typing_extensions import override

_LOG = logging.getLogger(__name__)

REPRO: Final = "TORCHSTASH_REPRO"
_REPRO_MODULE: Final = "torch._dynamo.debug_utils"


def autoload(environ: Mapping[str, str] = os.environ) -> None:
    """Does what the environment asks for, now or when PyTorch imports what it is about."""
    if environ.get(REPRO, "") not in ("", "0"):
        _after_import(_REPRO_MODULE, _install_repro)


def _install_repro() -> None:
    """A boundary: PyTorch's own import must not fail for our sake."""
    try:
        from torchstash.prims.torch_repro import install  # noqa: PLC0415 - only when asked

        install()
    except Exception as error:  # noqa: BLE001 - told, and PyTorch goes on with its own store
        _LOG.warning("%s=1, but torchstash cannot keep repros' tensors: %s", REPRO, error)


def _after_import(name: str, action: Callable[[], None]) -> None:
    if name in sys.modules:
        action()
    else:
        sys.meta_path.insert(0, _Finder(name, action))


class _Finder(importlib.abc.MetaPathFinder):
    """Lets others find one module, and acts once it is there."""

    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self._name = name
        self._action = action

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's own spec, with a loader that acts when it has loaded it."""
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._action)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, action: Callable[[], None]) -> None:
        self._loader = loader
        self._action = action

    @override
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    @override
    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            # Who looks for the source later finds it with the module's own loader.
            spec.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._action()
