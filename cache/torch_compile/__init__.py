"""`torch.compile` over our caches: the one place of this layer that imports torch, when asked."""

from torchstash.cache.torch_compile.compile_cache import CompileCache
from torchstash.cache.torch_compile.installation import Installation, install
from torchstash.cache.torch_compile.settings import remote_caches_enabled

__all__ = ["CompileCache", "Installation", "install", "remote_caches_enabled"]
