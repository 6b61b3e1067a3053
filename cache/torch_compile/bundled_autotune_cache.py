"""The cache of bundled autotuning results, which has a condition of its own."""

from torchstash.cache.torch_compile.compile_cache import CompileCache


class BundledAutotuneCache(CompileCache):
    """False where there is no Triton for any device.

    Torch 2.13 asserts there that Triton's hash is known, and so fails the user's compilation on a
    machine with only a CPU; but first it asks whether there is a cache at all.
    """

    def __bool__(self) -> bool:
        # Imported here because it takes more than a second.
        from torch._inductor.runtime.autotune_cache import (  # noqa: PLC0415
            inductor_meta_from_config,
        )

        return inductor_meta_from_config()["backend_hash"] is not None
