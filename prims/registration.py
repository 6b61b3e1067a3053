"""Registers `debugprims::load_tensor` with PyTorch's dispatcher, on import.

PyTorch has an operator of this name and schema, which `torch._prims` defines when it is
imported. PyTorch 2.13 imports it within `import torch`; a version that waits until a
compiler needs it would come after us. An operator can be defined once only, so the order is
not left to chance:

1. `torch._prims` is imported here. Where PyTorch defines the operator, it has done so
   now, whoever imports what first; where it does not, the operator is defined here.
2. PyTorch's `register_debug_prims` would raise from now on. It does nothing instead.
3. Our kernel goes on top of PyTorch's under `BackendSelect`, the key that calls
   without tensors reach first. It serves both kinds of reader (see
   `current_reader`), so PyTorch's own kernel is not needed any more. The
   dispatcher warns about every such override; this one is meant.
4. The fake kernel serves `FakeTensorMode`, `torch.compile`, `make_fx` and
   `torch.export`.

The registration lasts as long as this module: the dispatcher takes back what a
`Library` object registered when that object dies.
"""

import contextlib
import functools
import importlib
import warnings
from collections.abc import Iterator
from types import ModuleType

import torch

from torchstash.prims.kernel import load, load_fake

_NAMESPACE = "debugprims"
_NAME = "load_tensor"
_SCHEMA = "(str name, int[] size, int[] stride, *, ScalarType dtype, Device device) -> Tensor"
_TORCH_MODULES = ("torch._prims", "torch._prims.debug_prims")
_TORCH_REGISTRATION = "register_debug_prims"


def _torch_modules() -> list[ModuleType]:
    """The modules in which PyTorch's registration can be reached, imported."""
    try:
        return [importlib.import_module(name) for name in _TORCH_MODULES]
    except ModuleNotFoundError:
        return []


def _forestall(module: ModuleType) -> None:
    """Makes PyTorch's registration a call without effect: the operator is there."""
    original = getattr(module, _TORCH_REGISTRATION, None)
    if original is None:
        return

    @functools.wraps(original)
    def already_registered() -> None:
        pass

    setattr(module, _TORCH_REGISTRATION, already_registered)


@contextlib.contextmanager
def _override_intended() -> Iterator[None]:
    """Silences the dispatcher's warning here, and leaves it armed for others."""
    # The dispatcher warns once per process, unless told to warn always.
    warn_always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Warning only once for all operators")
            yield
    finally:
        torch.set_warn_always(warn_always)


def _register() -> torch.library.Library:
    modules = _torch_modules()
    library = torch.library.Library(_NAMESPACE, "FRAGMENT")  # type: ignore[no-untyped-call]
    if not hasattr(getattr(torch.ops, _NAMESPACE), _NAME):
        library.define(_NAME + _SCHEMA)  # type: ignore[no-untyped-call]
    for module in modules:
        _forestall(module)
    with _override_intended():
        library.impl(_NAME, load, "BackendSelect")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"{_NAMESPACE}::{_NAME}", load_fake, lib=library)
    return library


_library = _register()

OPERATOR: torch._ops.OpOverload = torch.ops.debugprims.load_tensor.default
