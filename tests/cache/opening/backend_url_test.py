import pytest

from torchstash.cache import BackendSettingsError
from torchstash.cache.network import Timeouts
from torchstash.cache.opening import BackendUrl
from torchstash.cache.opening.backend_url import Place, parse_backend_url
from torchstash.cache.opening.option_types import FLAG, SECONDS, SECRET, SIZE_BYTES, TEXT
from torchstash.cache.opening.timeout_options import TIMEOUT_OPTIONS
from torchstash.cache.opening.url_timeouts import url_timeouts

FULL = "Redis://us%65r:hunt%40er2@one:7000,[::1]:7001,three/a%20b?ttl=7d&token=hunter2&prefix=x%26y"


def test_every_part_is_decoded() -> None:
    url = parse_backend_url(FULL)
    assert url.scheme == "redis"
    assert (url.username, url.password) == ("user", "hunt@er2")
    assert url.places == (Place("one", 7000), Place("::1", 7001), Place("three", None))
    assert (url.host, url.port) == ("one", 7000)
    assert url.path == "/a b"
    assert url.query == (("ttl", "7d"), ("token", "hunter2"), ("prefix", "x&y"))


def test_what_is_left_out_is_absent() -> None:
    for text in ("memory:", "memory:?"):
        url = parse_backend_url(text)
        assert url == BackendUrl("memory")
        assert url.port is None
    with pytest.raises(BackendSettingsError, match="write memory://host"):
        _ = url.host
    assert parse_backend_url("redis://:pw@h").username is None
    assert parse_backend_url("redis://:pw@h").password == "pw"
    assert parse_backend_url("redis://user@h").password is None
    assert parse_backend_url("file:///a/b").path == "/a/b"
    assert parse_backend_url("file:a/b").path == "a/b"


def test_options_become_arguments() -> None:
    url = parse_backend_url(FULL)
    options = url.options(ttl_seconds=SECONDS.named("ttl"), token=SECRET, prefix=TEXT, durable=FLAG)
    assert options == {"ttl_seconds": 604800.0, "token": "hunter2", "prefix": "x&y"}


def test_some_options_can_be_taken_before() -> None:
    url = parse_backend_url("x:?a=1KiB&b=true")
    taken, rest = url.take(a=SIZE_BYTES, c=FLAG)
    assert taken == {"a": 1024}
    assert rest.options(b=FLAG) == {"b": True}
    with pytest.raises(BackendSettingsError, match=r"unknown option 'b'; There are: a, c"):
        rest.options()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x:?max_byte=1", "'max_byte'; did you mean max_bytes"),
        ("x:?max_bytes=1GX", "max_bytes='1GX'; max_bytes is a size such as"),
        ("x:?ttl=7", "ttl is a time with its unit"),
    ],
)
def test_wrong_options(text: str, said: str) -> None:
    with pytest.raises(BackendSettingsError, match=said):
        parse_backend_url(text).options(max_bytes=SIZE_BYTES, ttl_seconds=SECONDS.named("ttl"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no scheme"),
        ("hunter2", "no scheme"),
        ("/hunter2", "no scheme"),
        ("//hunter2:x@h", "no scheme"),
        ("redis://:hunter2#@h", "%23"),
        ("redis://:hunter2 @h", "white space"),
        ("redis://:hunter2@h:port", "port"),
        ("redis://:hunter2/x@h", "percent-encoded"),
        ("redis://hunter2:99999", "port"),
        ("redis://u:hunter2@::1", "brackets"),
        ("redis://u:hunter2@:1", "host that is none"),
        ("redis://h?hunter2", "without a value"),
        ("redis://u:hunter2@h?a=1&a=hunter2", "'a' more than once"),
    ],
)
def test_wrong_urls_are_told_without_their_secrets(text: str, said: str) -> None:
    with pytest.raises(BackendSettingsError, match=said) as caught:
        parse_backend_url(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_nothing_tells_a_secret() -> None:
    url = parse_backend_url(FULL)
    for text in (str(url), repr(url), f"{url}", str(url.wrong("is wrong", "put it right"))):
        assert "hunt" not in text
        assert "redis://***@one:7000,[::1]:7001,three/a b?ttl=...&token=...&prefix=..." in text
    with pytest.raises(BackendSettingsError) as caught:
        url.options(ttl=SECONDS, token=SIZE_BYTES_SECRET, prefix=TEXT)
    assert "hunt" not in str(caught.value)


SIZE_BYTES_SECRET = type(SIZE_BYTES)(SIZE_BYTES.parse, "a size", is_secret=True)


def test_time_limits() -> None:
    url = parse_backend_url("x:?timeout=2s&connect_timeout=100ms&min_rate=1MiB")
    _, rest = url.take(**TIMEOUT_OPTIONS)
    assert url_timeouts(rest) == Timeouts(0.1, 2.0, 1 << 20)
    assert rest.options() == {}
    assert url_timeouts(parse_backend_url("x:?ttl=1s")) == Timeouts()
    with pytest.raises(BackendSettingsError, match="operation_seconds must be positive"):
        url_timeouts(parse_backend_url("x:?timeout=0s"))
