"""Every Python example of the README runs as printed, one after the other in one folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

_README = Path(__file__).absolute().parent.parent / "README.md"
_EXAMPLES = re.findall(r"^```python\n(.*?)^```$", _README.read_text("utf-8"), re.DOTALL | re.M)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def test_there_are_examples_of_each_layer() -> None:
    for layer in ("cache", "content_store", "prims"):
        assert any(f"from torchstash.{layer} import" in example for example in _EXAMPLES)


@pytest.mark.parametrize("index", range(len(_EXAMPLES)))
def test_example_runs(index: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = _EXAMPLES[index]
    monkeypatch.setenv("PYTHONPATH", ":".join(entry for entry in sys.path if entry))
    done = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, check=False, cwd=folder, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
