import asyncio
import contextvars
import sys
import threading
from types import SimpleNamespace

import pytest

from torchstash.prims.current_reader import current_reader, serve_from
from torchstash.tests.prims.dict_reader import DictReader

OUTER, INNER = DictReader(), DictReader()


def test_there_is_none_at_first() -> None:
    assert current_reader() is None


def test_the_innermost_counts_and_the_outer_one_comes_back() -> None:
    with serve_from(OUTER):
        with serve_from(INNER):
            assert current_reader() is INNER
        assert current_reader() is OUTER
        with pytest.raises(ZeroDivisionError), serve_from(INNER):
            _ = 1 / 0
        assert current_reader() is OUTER
    assert current_reader() is None


def test_a_thread_sees_its_own_readers_only() -> None:
    seen: list[object] = []
    with serve_from(OUTER):
        context = contextvars.copy_context()
        threads = [
            threading.Thread(target=lambda: seen.append(current_reader())),
            threading.Thread(target=lambda: seen.append(context.run(current_reader))),
        ]
        for thread in threads:
            thread.start()
            thread.join()
    assert seen == [None, OUTER]


def test_tasks_that_interleave_do_not_mix_their_readers() -> None:
    async def serve(reader: DictReader, mine: asyncio.Event, others: asyncio.Event) -> bool:
        with serve_from(reader):
            mine.set()
            await others.wait()
            return current_reader() is reader

    async def both() -> list[bool]:
        first, second = asyncio.Event(), asyncio.Event()
        serving = serve(OUTER, first, second), serve(INNER, second, first)
        return list(await asyncio.gather(*serving))

    assert asyncio.run(both()) == [True, True]
    assert current_reader() is None


def test_pytorchs_reader_serves_where_none_of_ours_does(monkeypatch: pytest.MonkeyPatch) -> None:
    torchs = DictReader()
    module = SimpleNamespace(LOAD_TENSOR_READER=torchs)
    monkeypatch.setitem(sys.modules, "torch._prims.debug_prims", module)
    assert current_reader() is torchs
    with serve_from(OUTER):
        assert current_reader() is OUTER
    assert current_reader() is torchs


def test_a_pytorch_without_the_module_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._prims.debug_prims", raising=False)
    assert current_reader() is None
