"""A file without tests: the target that runs it must fail."""
