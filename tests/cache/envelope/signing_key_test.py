from pathlib import Path

import pytest

from torchstash.cache import BackendSettingsError
from torchstash.cache.envelope import SigningKey, read_signing_keys

_SECRET = bytes(range(32))


def test_a_file_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# ours\n\n  new\t{'ab' * 40}\r\nold {_SECRET.hex().upper()}\n")
    keys = read_signing_keys(str(path))
    assert keys == (SigningKey("new", b"\xab" * 40), SigningKey("old", _SECRET))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no key"),
        ("# nothing\n", "holds no key"),
        ("only-an-id\n", "line 1"),
        (f"a {'0f' * 32}\nb {'0f' * 31}x\n", "line 2"),
        (f"a {'0f' * 32}\na {'0e' * 32}\n", "an id that stands there already"),
        (f"a {'0f' * 31}\n", "31 bytes"),
        (f"\u00e9 {'0f' * 32}\n", "printable ASCII"),
    ],
)
def test_wrong_files_are_told_without_their_secrets(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BackendSettingsError, match=said) as caught:
        read_signing_keys(str(path))
    assert "0f0f" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BackendSettingsError, match="FileNotFoundError"):
        read_signing_keys(str(tmp_path / "absent"))


def test_a_secret_is_not_shown() -> None:
    assert repr(SigningKey("k", _SECRET)) == "SigningKey(key_id='k')"
