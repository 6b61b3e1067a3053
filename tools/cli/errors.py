"""The error that a command ends with when what it was asked cannot be done.

    CommandError        its message is for the user; the program says it and exits with 1

Typed errors of the layers become this one where a command calls them. Anything else is a
fault of ours and keeps its traceback.
"""


class CommandError(Exception):
    """What was asked cannot be done, and the user can put it right."""
