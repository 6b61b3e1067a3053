"""The settings of torch that switch its remote caches on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def remote_caches_enabled() -> Iterator[None]:
    """Inside the block, this thread's compilations use the remote caches of `torch.compile`.

    Torch keeps its settings per thread: another thread that compiles needs a block of its own.
    The local caches stay as they are, and are asked first.
    """
    # Imported here because they take more than a second.
    import torch._dynamo.config as dynamo  # noqa: PLC0415
    import torch._functorch.config as functorch  # noqa: PLC0415
    import torch._inductor.config as inductor  # noqa: PLC0415

    with ExitStack() as stack:
        stack.enter_context(
            inductor.patch(
                fx_graph_remote_cache=True,
                autotune_remote_cache=True,
                bundled_autotune_remote_cache=True,
            )
        )
        stack.enter_context(functorch.patch(enable_remote_autograd_cache=True))
        stack.enter_context(dynamo.patch(automatic_dynamic_remote_pgo=True))
        yield
