"""The picture's text, read from its SVG form."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from torchstash.tests.tools.bench.outcomes import outcome
from torchstash.tools.bench.errors import UnavailableError
from torchstash.tools.bench.plot import require_matplotlib, write_plot


def _draw(path: Path) -> None:
    write_plot(path, outcome().sections[0], title="Hashing", subtitle="A CPU", ours="ours")


def test_each_device_has_a_panel_and_each_contestant_with_times_a_line(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    _draw(path)
    # What is drawn as outlines has its text beside it as a comment.
    text = re.findall(r"<!-- (.*?) -->", path.read_text())
    assert text.count("cpu") == text.count("cuda") == 1
    assert text.count("ours") == 2
    assert text.count("memory") == 1
    assert "peer" not in text
    assert {"Hashing", "A CPU", "64 B", "1 GiB", "GB/s"} <= set(text)


def test_a_picture_is_a_png(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    _draw(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"plot\.xyz.*png"):
        _draw(tmp_path / "plot.xyz")


def test_without_matplotlib_the_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UnavailableError, match="pip install matplotlib"):
        require_matplotlib()


def test_who_wants_no_plot_loads_no_matplotlib() -> None:
    program = (
        f"import sys; sys.path = {sys.path!r}; import torchstash.tools.bench.plot;"
        "sys.exit('matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True)
