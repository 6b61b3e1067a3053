"""The error that ends the demo.

DemoError           what came back is wrong, or the demo cannot run here; its message is for
                    the user, and the program exits with 1
"""


class DemoError(Exception):
    """The demo cannot go on, or found something wrong."""
