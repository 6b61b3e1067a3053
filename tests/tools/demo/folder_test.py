from pathlib import Path

import pytest

from torchstash.tools.demo.errors import DemoError
from torchstash.tools.demo.folder import default_folder, fresh_folder


def test_what_the_last_run_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "demo"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    with fresh_folder(folder):
        (folder / "store").mkdir()
        (folder / "store" / "file").touch()
        (folder / "link").symlink_to(elsewhere)
    assert (folder / "store" / "file").exists()
    with fresh_folder(folder):
        assert not (folder / "store").exists()
        assert not (folder / "link").exists()
    assert (elsewhere / "kept").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DemoError, match="left alone"), fresh_folder(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with fresh_folder(tmp_path):
        (tmp_path / "store").mkdir()
        with pytest.raises(DemoError, match="another demo"), fresh_folder(tmp_path):
            pass
        assert (tmp_path / "store").exists()


def test_the_default_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert default_folder() == Path("/caches/torchstash/demo")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_folder() == Path("/home/somebody/.cache/torchstash/demo")
