"""Beside PyTorch's own operator of the same name, in either order of coming.

Each order is a process of its own, in which any warning is an error once torch
is imported: the operator's registration outlives every test.
"""

import textwrap

import pytest

from torchstash.tests.prims.python_process import run_python

SHARED = """
import warnings

OPERATOR = "debugprims::load_tensor"


class Fake:
    def __init__(self, value):
        self.value = value

    def read_tensor(self, name, *, device):
        return torch.full((3,), self.value, device=device)


def call(dtype="float32"):
    return torch.ops.debugprims.load_tensor.default(
        "x", [3], [1], dtype=getattr(torch, dtype), device=torch.device("cpu")
    )


def both_serve():
    import torch._prims.debug_prims as torchs
    import torchstash.prims
    from torchstash.prims.current_reader import serve_from

    made_up = torchstash.prims.load_tensor("x", [3], [1], dtype=torch.float32, device="cpu")
    assert torch.equal(call(), made_up)
    torchs.LOAD_TENSOR_READER = Fake(1.0)
    assert call().tolist() == [1, 1, 1]
    with serve_from(Fake(2.0)):
        assert call().tolist() == [2, 2, 2]
        assert call("float64").dtype == torch.float64
    assert call().tolist() == [1, 1, 1]
    torchs.LOAD_TENSOR_READER = None
    assert torch.equal(call(), made_up)
    with torch._subclasses.fake_tensor.FakeTensorMode():
        assert type(call()).__name__ == "FakeTensor"
"""

# A PyTorch in which `import torch` leaves the operator alone: its registration is held
# back while torch is imported, and put in its place again afterwards.
TORCH_REGISTERS_LATE = """
import importlib.abc, importlib.machinery, sys


class HoldBack(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "torch._prims.debug_prims":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.genuine = module.register_debug_prims
            module.register_debug_prims = lambda: None

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, HoldBack())
import torch

for module in (torch._prims, torch._prims.debug_prims):
    module.register_debug_prims = torch._prims.debug_prims.genuine
"""


def run_program(*parts: str) -> None:
    done = run_python("-c", "\n".join(textwrap.dedent(part) for part in parts))
    assert done.returncode == 0, done.stderr
    assert "Overriding a previously registered kernel" not in done.stderr


def test_pytorch_first() -> None:
    run_program(
        "import torch, torch._prims",
        SHARED,
        """
        warnings.simplefilter("error")
        assert torch._C._dispatch_has_kernel(OPERATOR)
        import torchstash.prims
        both_serve()
        """,
    )


def test_ours_first_where_importing_torch_registers_nothing() -> None:
    run_program(
        TORCH_REGISTERS_LATE,
        SHARED,
        """
        warnings.simplefilter("error")
        assert not torch._C._dispatch_has_kernel(OPERATOR)
        import torchstash.prims
        assert torch._C._dispatch_has_kernel(OPERATOR)
        torch._prims.register_debug_prims()
        torch._prims.debug_prims.register_debug_prims()
        both_serve()
        """,
    )


def test_ours_first_where_importing_torch_does_not_import_its_prims() -> None:
    """Then we import them, and PyTorch registers before us after all."""
    run_program(
        TORCH_REGISTERS_LATE,
        SHARED,
        """
        import sys
        warnings.simplefilter("error")
        # As if `torch._prims` had not run yet: importing it runs the registration.
        prims = sys.modules.pop("torch._prims")
        del sys.modules["torch._prims.debug_prims"], torch._prims

        class Late(HoldBack):
            def find_spec(self, name, path, target=None):
                if name != "torch._prims":
                    return None
                return importlib.machinery.ModuleSpec(name, self)

            def create_module(self, spec):
                return prims

            def exec_module(self, module):
                sys.modules["torch._prims.debug_prims"] = prims.debug_prims
                prims.register_debug_prims()

        sys.meta_path[0] = Late()
        assert not torch._C._dispatch_has_kernel(OPERATOR)
        import torchstash.prims
        assert torch._prims is prims
        prims.register_debug_prims()
        both_serve()
        """,
    )


def test_pytorch_without_the_module() -> None:
    run_program(
        TORCH_REGISTERS_LATE,
        SHARED,
        """
        import sys
        warnings.simplefilter("error")
        sys.modules["torch._prims.debug_prims"] = None
        import torchstash.prims
        made_up = call()
        from torchstash.prims.current_reader import serve_from
        with serve_from(Fake(2.0)):
            assert call().tolist() == [2, 2, 2]
        assert torch.equal(call(), made_up)
        """,
    )


def test_pytorch_registers_again() -> None:
    """By itself PyTorch refuses that; beside us it does nothing."""
    run_program(
        "import torch",
        SHARED,
        """
        warnings.simplefilter("error")
        import torchstash.prims
        import torch._prims
        torch._prims.register_debug_prims()
        torch._prims.debug_prims.register_debug_prims()
        both_serve()
        """,
    )


def test_an_operator_that_was_looked_up_before_is_the_same_one() -> None:
    run_program(
        "import torch",
        SHARED,
        """
        before = torch.ops.debugprims.load_tensor.default
        import torchstash.prims
        from torchstash.prims.current_reader import serve_from
        assert torch.ops.debugprims.load_tensor.default is before
        with serve_from(Fake(2.0)):
            assert before("x", [3], [1], dtype=torch.float32, device="cpu").tolist() == [2, 2, 2]
        """,
    )


def test_the_dispatchers_warning_stays_armed_for_others() -> None:
    run_program(
        "import torch",
        SHARED,
        """
        import torchstash.prims
        assert not torch.is_warn_always_enabled()
        library = torch.library.Library("stranger", "FRAGMENT")
        library.define("f() -> Tensor")
        library.impl("f", lambda: torch.ones(1), "BackendSelect")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            library.impl("f", lambda: torch.ones(2), "BackendSelect")
        assert any("Overriding a previously registered" in str(w.message) for w in caught)
        """,
    )


@pytest.mark.parametrize("module", ["registration", "current_reader", "kernel"])
def test_the_registration_needs_no_store(module: str) -> None:
    """`//prims:registration` alone: the package's face is left out."""
    run_program(
        f"""
        import importlib, sys, types
        import torchstash
        face = types.ModuleType("torchstash.prims")
        face.__path__ = [f"{{place}}/prims" for place in torchstash.__path__]
        sys.modules["torchstash.prims"] = face
        importlib.import_module("torchstash.prims.{module}")
        loaded = [name for name in sys.modules if name.startswith("torchstash.")]
        assert all(name.startswith("torchstash.prims") for name in loaded), loaded
        """
    )
