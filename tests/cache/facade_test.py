"""What `torchstash.cache` shows, and what it may not bring with it."""

import torchstash.cache
import torchstash.cache.disk
from torchstash.cache import errors
from torchstash.tests.cache.child_process import run_python


def test_all_names_exist_and_are_sorted() -> None:
    for module in (torchstash.cache, torchstash.cache.disk):
        names = module.__all__
        assert sorted(names) == list(names)
        assert len(set(names)) == len(names)
        for name in names:
            assert getattr(module, name) is not None


def test_every_error_is_public_and_has_one_base() -> None:
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    for kind in kinds:
        assert issubclass(kind, torchstash.cache.CacheError)
        assert getattr(torchstash.cache, kind.__name__) is kind
        assert kind.__name__ in (errors.__doc__ or "")


def test_neither_torch_nor_other_heavy_modules_are_imported() -> None:
    printed = run_python(
        "import sys, torchstash.cache\n"
        "heavy = {'torch', 'numpy', 'absl', 'redis', 'grpc', 'asyncio', 'multiprocessing'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert printed.strip() == "[]"


def test_the_compiler_adapter_imports_torch_only_when_asked() -> None:
    printed = run_python(
        "import sys, torchstash.cache.torch_compile\nprint('torch' in sys.modules)"
    )
    assert printed.strip() == "False"
