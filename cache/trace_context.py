"""The span in which an operation runs, where the program traces with OpenTelemetry.

Nothing is imported here: where nobody has imported `opentelemetry.trace`, no span can be running.
"""

import sys
from typing import NamedTuple

_MODULE = "opentelemetry.trace"


class TraceContext(NamedTuple):
    """Who asked, as the W3C's Trace Context names it: 16 and 8 bytes."""

    trace_id: bytes
    span_id: bytes


def current_trace() -> TraceContext | None:
    """The span that is current in this context; None: there is none."""
    module = sys.modules.get(_MODULE)
    # A module that another thread is importing just now may have nothing in it yet.
    get_current_span = None if module is None else getattr(module, "get_current_span", None)
    if get_current_span is None:
        return None
    span = get_current_span()
    # What it gives where there is none: told apart here, because this runs for every sample.
    if span is getattr(module, "INVALID_SPAN", None):
        return None
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return TraceContext(context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big"))
