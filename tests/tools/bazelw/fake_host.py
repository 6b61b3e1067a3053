"""A host made of stub programs, on which the real tools/bazelw runs.

PATH holds only stubs and the few ordinary tools that the script needs, so what a machine has or
reaches changes no test. Each stub notes its call before it does what the test says.
"""

import os
import shutil
import subprocess
from pathlib import Path

_ORDINARY_TOOLS = [
    *("bash", "cat", "chmod", "cksum", "cut", "date", "dirname", "env", "find", "flock", "grep"),
    *("head", "mkdir", "mktemp", "mv", "rm", "sed", "sleep", "stat", "sync", "tail", "tar", "tee"),
    *("timeout", "touch", "tr"),
]
_END_OF_WORD, _END_OF_CALL = "\x1f", "\x1e"
_STUB = r"""#!{bash}
call=$(printf '%s\x1f' "${{0##*/}}" "$@")
printf '%s\x1e' "$call" >>'{calls}'
{body}
"""


def script() -> Path:
    """The script under test."""
    named = os.environ.get("TORCHSTASH_BAZELW")
    return Path(named) if named else Path(__file__).absolute().parents[3] / "tools" / "bazelw"


def wanted_version() -> str:
    """The version that the script has to find."""
    return (script().parents[1] / ".bazelversion").read_text().strip()


class FakeHost:
    """Starts with nothing but ordinary tools: no Bazel, no npm, no network, no apt."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.workspace = folder / "workspace"
        self.programs = folder / "programs"
        self.not_installed = folder / "not_installed"
        self._calls = folder / "calls"
        for made in (self.home, self.workspace, self.programs, self.not_installed):
            made.mkdir()
        (self.workspace / "WORKSPACE").touch()
        for name in _ORDINARY_TOOLS:
            found = shutil.which(name)
            if found is None:
                raise FileNotFoundError(f"tools/bazelw needs {name}, which is not on PATH")
            (self.programs / name).symlink_to(found)

    @property
    def cache(self) -> Path:
        return self.home / ".cache" / "torchstash"

    def add(self, name: str, body: str = "", *, installed: bool = True) -> Path:
        """Puts a stub on PATH, or among the packages that the stub apt-get can install."""
        program = (self.programs if installed else self.not_installed) / name
        program.write_text(_STUB.format(bash=shutil.which("bash"), calls=self._calls, body=body))
        program.chmod(0o755)
        return program

    def calls(self, name: str) -> list[list[str]]:
        """The arguments of each call of a stub, in order."""
        recorded = self._calls.read_text() if self._calls.exists() else ""
        calls = [call.split(_END_OF_WORD)[:-1] for call in recorded.split(_END_OF_CALL)[:-1]]
        return [words for program, *words in calls if program == name]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [script(), *arguments],
            cwd=self.workspace,
            env={"HOME": str(self.home), "PATH": str(self.programs), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)
