"""What happens in a process that imports PyTorch where torchstash is installed."""

import os
import subprocess
import sys

_PROGRAM = """
import sys, torch
from torchstash.tools.torch_plugin.autoload import autoload
before = list(sys.meta_path)
autoload()
assert "torch._dynamo" not in sys.modules
assert not [name for name in sys.modules if name.startswith("torchstash.prims")]
{then}
"""

_USES_OURS = """
import importlib, inspect, torch._dynamo.debug_utils as debug_utils
assert debug_utils.ContentStoreWriter.__module__ == "torchstash.prims.torch_repro.repro_store"
assert not [finder for finder in sys.meta_path if "torchstash" in type(finder).__module__]
assert type(debug_utils.__loader__).__name__ == "SourceFileLoader"
assert debug_utils.__spec__.loader is debug_utils.__loader__
assert "class InputWriter" in inspect.getsource(debug_utils)
"""

_USES_TORCHS = """
import torch._dynamo.debug_utils as debug_utils
assert debug_utils.ContentStoreWriter.__module__ == "torch.utils._content_store"
"""


def run(then: str, **environment: str) -> str:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(then=then)],
        env=os.environ | {"PYTHONPATH": path} | environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_asked_for_it_keeps_repros_tensors() -> None:
    run(_USES_OURS, TORCHSTASH_REPRO="1")


def test_not_asked_it_changes_nothing() -> None:
    run("assert sys.meta_path == before" + _USES_TORCHS)
    run("assert sys.meta_path == before", TORCHSTASH_REPRO="0")


def test_what_fails_is_said_and_pytorch_goes_on() -> None:
    broken = 'sys.modules["torchstash.prims.torch_repro"] = None' + _USES_TORCHS
    assert "torchstash cannot keep repros' tensors" in run(broken, TORCHSTASH_REPRO="1")
