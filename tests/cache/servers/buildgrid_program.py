"""BuildGrid's own program, in a process in which nothing of ours is."""

from importlib.metadata import entry_points

if __name__ == "__main__":
    (script,) = entry_points(group="console_scripts", name="bgd")
    script.load()()
