import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch._inductor.remote_cache as inductor_caches
from torch._dynamo import config as dynamo_config
from torch._functorch import config as functorch_config
from torch._functorch._aot_autograd.autograd_cache import AOTAutogradCache
from torch._inductor import config as inductor_config

from torchstash.cache import DiskBackend, MemoryBackend, MemorySink, cache_counters
from torchstash.cache.torch_compile import CompileCache, install, remote_caches_enabled
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.child_process import run_python
from torchstash.tests.cache.fake_backend import FakeBackend

NAMES = [
    "RemoteAOTAutogradCache",
    "RemoteAutotuneCache",
    "RemoteBundledAutotuneCache",
    "RemoteDynamoPGOCache",
    "RemoteFxGraphCache",
]


def _settings() -> list[object]:
    return [
        inductor_config.fx_graph_remote_cache,
        inductor_config.autotune_remote_cache,
        inductor_config.bundled_autotune_remote_cache,
        functorch_config.enable_remote_autograd_cache,
        dynamo_config.automatic_dynamic_remote_pgo,
    ]


@pytest.fixture(autouse=True)
def nothing_stays_installed() -> Iterator[None]:
    before = [getattr(inductor_caches, name) for name in NAMES], _settings()
    yield
    assert ([getattr(inductor_caches, name) for name in NAMES], _settings()) == before


def _create(cache_id: str, name: str) -> Any:
    """What torch's own code does to get a cache."""
    return inductor_caches.create_cache(cache_id, False, None, name)


@pytest.mark.parametrize("name", NAMES)
def test_torch_finds_our_caches_by_their_names(name: str) -> None:
    backend = MemoryBackend()
    with install(backend):
        cache = _create("an-id", name)
        assert isinstance(cache, CompileCache)
        assert type(cache).__name__ == name
        cache.put("key", {"data": "eA==", "time_taken_ms": 1})
        assert _create("an-id", name).get("key") == {"data": "eA==", "time_taken_ms": 1}
        assert _create("another-id", name).get("key") is None
    assert list(backend.keys()) == ["torch_compile/an-id/key"]


def test_everything_is_switched_on_and_put_back() -> None:
    before = _settings()
    installation = install(MemoryBackend())
    assert _settings() == [True] * 5
    installation.uninstall()
    installation.uninstall()
    assert _settings() == before
    with remote_caches_enabled():
        assert _settings() == [True] * 5


def test_installations_nest() -> None:
    outer, inner = MemoryBackend(), MemoryBackend()
    with install(outer):
        with install(inner):
            _create("id", "RemoteFxGraphCache").put("a", 1)
        _create("id", "RemoteFxGraphCache").put("b", 2)
    assert list(inner.keys()) == ["torch_compile/id/a"]
    assert list(outer.keys()) == ["torch_compile/id/b"]


def test_the_cache_that_torch_keeps_is_made_anew() -> None:
    with install(MemoryBackend()):
        first: object = AOTAutogradCache.get_remote_cache()
        assert isinstance(first, CompileCache)
    with install(MemoryBackend()):
        second: object = AOTAutogradCache.get_remote_cache()
        assert second is not first


@pytest.mark.parametrize("cache_id", ["{}", "{key}", "a/b", "%", "", "\u00e9\ud800", "../x"])
def test_any_cache_id_has_keys_of_its_own(cache_id: str) -> None:
    backend = MemoryBackend()
    with install(backend):
        _create(cache_id, "RemoteFxGraphCache").put("k/{}", 1)
        for other in ("a", "a%2Fb", "x"):
            assert _create(other, "RemoteFxGraphCache").get("k/{}") is None
            assert _create(other, "RemoteFxGraphCache").get("b/k/{}") is None
        assert _create(cache_id, "RemoteFxGraphCache").get("k/{}") == 1
    (key,) = backend.keys()
    assert key.count("/") == 3


def _count(kind: str) -> int:
    count = cache_counters.snapshot().get("RemoteFxGraphCache")
    return 0 if count is None else getattr(count, kind)


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), TimeoutError("x"), OSError("x"), AssertionError("x")]
)
def test_no_failure_reaches_the_compilation(error: Exception) -> None:
    backend, sink = FakeBackend(), MemorySink()
    backend.error = error
    before = _count("exception")
    with install(backend, sink=sink):
        cache = _create("id", "RemoteFxGraphCache")
        assert cache.get("key") is None
        cache.put("key", {"data": "x"})
        cache.put("key", object())
    assert _count("exception") - before == 3
    assert [sample.fail_reason for sample in sink.samples][:2] == ["x", "x"]


def test_what_cannot_be_decoded_is_a_miss() -> None:
    backend, sink = MemoryBackend(), MemorySink()
    with install(backend, sink=sink):
        cache = _create("id", "RemoteFxGraphCache")
        cache.put("key", 1)
        for garbage in (b"", b"{", b"\xff\x00"):
            backend.put("torch_compile/id/key", garbage)
            assert cache.get("key") is None
    assert [sample.outcome for sample in sink.samples[1:]] == [pb.OUTCOME_FAILED] * 3


_SHARE_WITHOUT_COMPILING = """
import sys
from torch._inductor.codecache import FxGraphCache
from torchstash.cache import DiskBackend
from torchstash.cache.torch_compile import install

with DiskBackend(sys.argv[1]) as backend, install(backend):
    cache = FxGraphCache.get_remote_cache()
    print(cache.get("key"))
    cache.put("key", {"data": "eA==", "time_taken_ms": 1})
"""


def test_another_process_finds_what_torchs_own_cache_has_put(tmp_path: Path) -> None:
    assert run_python(_SHARE_WITHOUT_COMPILING, tmp_path / "store").strip() == "None"
    found = run_python(_SHARE_WITHOUT_COMPILING, tmp_path / "store").strip()
    assert found == "{'data': 'eA==', 'time_taken_ms': 1}"


_COMPILE = """
import json, sys
import torch
from torchstash.cache import DiskBackend, cache_counters
from torchstash.cache.torch_compile import install

@torch.compile
def function(x):
    return (x.sin() * 2 + 1).sum()

with DiskBackend(sys.argv[1]) as backend, install(backend):
    x = torch.linspace(0, 1, 10, requires_grad=True)
    y = function(x)
    y.backward()
counts = cache_counters.snapshot()
print(json.dumps({
    "result": [y.item(), x.grad.tolist()],
    "local_misses": torch._dynamo.utils.counters["inductor"]["fxgraph_cache_miss"],
    "hits": torch._dynamo.utils.counters["inductor"]["fxgraph_cache_hit"],
    **{name: [c.hit, c.miss, c.put, c.exception] for name, c in counts.items()},
}))
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("Inductor compiles for CPUs with a C++ compiler, and there is none here")

    def run(name: str) -> dict[str, Any]:
        printed = run_python(
            _COMPILE,
            tmp_path / "store",
            environment={"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / name)},
        )
        report: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return report

    first, second = run("first"), run("second")
    assert first["RemoteFxGraphCache"] == [0, 2, 2, 0]
    assert first["RemoteAOTAutogradCache"] == [0, 1, 1, 0]
    assert second["RemoteFxGraphCache"] == [2, 0, 0, 0]
    assert second["RemoteAOTAutogradCache"] == [1, 0, 0, 0]
    assert second["hits"] == 2
    assert second["result"] == first["result"]
    with DiskBackend(tmp_path / "store") as store:
        assert len(list(store.keys("torch_compile/"))) == 3
