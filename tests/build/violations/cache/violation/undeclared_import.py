"""Imports what its target does not declare."""

import blake3  # noqa: F401
