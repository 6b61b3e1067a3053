"""Which Bazel tools/bazelw chooses, and that it hands everything over untouched."""

from pathlib import Path

import pytest

from torchstash.tests.tools.bazelw.fake_host import FakeHost, script, wanted_version

WANTED = wanted_version()
ANSWERS_WANTED = f'[[ $* == --version ]] && echo "bazel {WANTED}"'
SHOWS_ARGUMENTS = "printf '<%s>' \"$@\""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def add_npm(host: FakeHost, *, bazelisk_answers: str = f"bazel {WANTED}") -> None:
    """An npm whose Bazelisk gives that answer, on an open network."""
    host.add("curl")
    host.add("node")
    host.add(
        "npm",
        f"""
        while [[ $1 != --prefix ]]; do shift; done
        mkdir -p "$2/node_modules/.bin"
        bazelisk=$2/node_modules/.bin/bazelisk
        cat >"$bazelisk" <<'END'
#!/usr/bin/env bash
[[ $* == --version ]] && echo "{bazelisk_answers}" || echo "npm: $USE_BAZEL_VERSION $*"
END
        chmod +x "$bazelisk"
        """,
    )


def test_bazel_on_path_with_the_wanted_version_is_used(host: FakeHost) -> None:
    host.add("bazel", ANSWERS_WANTED + f" || {SHOWS_ARGUMENTS}")
    done = host.run("build", "//...")
    assert (done.returncode, done.stdout, done.stderr) == (0, "<build><//...>", "")


@pytest.mark.parametrize("argument", ["a b", "", "*", "$HOME", "it's", '"', "--", "a\nb", "\\"])
def test_arguments_arrive_untouched(host: FakeHost, argument: str) -> None:
    host.add("bazel", ANSWERS_WANTED)
    host.run("run", "//:it", "--", argument, "last")
    assert host.calls("bazel")[-1] == ["run", "//:it", "--", argument, "last"]


def test_no_argument_is_no_argument(host: FakeHost) -> None:
    host.add("bazel", ANSWERS_WANTED)
    host.run()
    assert host.calls("bazel")[-1] == []


def test_the_exit_status_is_bazels(host: FakeHost) -> None:
    host.add("bazel", ANSWERS_WANTED + " || exit 37")
    assert host.run("build").returncode == 37


def test_bazel_runs_in_the_callers_folder_without_user_packages(host: FakeHost) -> None:
    host.add("bazel", ANSWERS_WANTED + ' || echo "$PWD $PYTHONNOUSERSITE"')
    assert host.run("info").stdout == f"{host.workspace} 1\n"


def test_bazelisk_is_asked_when_bazel_has_another_version(host: FakeHost) -> None:
    host.add("bazel", "echo bazel 4.2.3")
    host.add("bazelisk", f"{ANSWERS_WANTED} || echo bazelisk $*")
    assert host.run("info").stdout == "bazelisk info\n"


def test_bazelisk_is_told_the_version_of_this_repository(host: FakeHost) -> None:
    host.add("bazelisk", 'echo "bazel $USE_BAZEL_VERSION"')
    assert host.run("--version").stdout == f"bazel {WANTED}\n"


def test_a_link_to_bazelw_is_not_taken_for_bazel(host: FakeHost) -> None:
    (host.programs / "bazel").symlink_to(script())
    assert host.run("info").returncode == 1


def test_the_answer_about_a_version_is_remembered_until_the_program_changes(host: FakeHost) -> None:
    host.add("bazel", ANSWERS_WANTED)
    host.run("info")
    host.run("info")
    assert host.calls("bazel").count(["--version"]) == 1
    host.add("bazel", "echo bazel 9.9.9")
    assert host.run("info").returncode == 1


def test_bazelisk_comes_from_npm_where_the_open_network_answers(host: FakeHost) -> None:
    add_npm(host)
    assert host.run("info").stdout == f"npm: {WANTED} info\n"
    assert len(host.calls("npm")) == 1


def test_bazelisk_from_npm_is_installed_and_probed_once(host: FakeHost) -> None:
    add_npm(host)
    host.run("info")
    assert host.run("build").stdout == f"npm: {WANTED} build\n"
    assert (len(host.calls("npm")), len(host.calls("curl"))) == (1, 1)


def test_npm_is_not_asked_where_the_open_network_is_silent(host: FakeHost) -> None:
    add_npm(host)
    host.add("curl", "exit 28")
    done = host.run("info")
    assert done.returncode == 1
    assert "the open network (github.com) does not answer" in done.stderr
    assert host.calls("npm") == []


def test_a_bazelisk_from_npm_that_gives_another_version_leaves_nothing(host: FakeHost) -> None:
    add_npm(host, bazelisk_answers="could not download")
    done = host.run("info")
    assert done.returncode == 1
    assert f"Bazelisk did not give Bazel {WANTED}" in done.stderr
    assert list(host.cache.glob("bazelisk-*")) == []


def test_where_nothing_works_one_message_says_why_and_what_to_install(host: FakeHost) -> None:
    host.add("bazel", "echo bazel 4.2.3")
    done = host.run("info")
    assert (done.returncode, done.stdout) == (1, "")
    for said in (
        f"found no way to run Bazel {WANTED}",
        f"{host.programs}/bazel gives 4.2.3",
        "npm is not installed",
        "not a Debian-family host",
        "Bazelisk (or Bazel",
        "apt-get install mmdebstrap bubblewrap",
    ):
        assert said in done.stderr


def test_a_forced_choice_is_the_only_one(host: FakeHost) -> None:
    host.add("bazel", ANSWERS_WANTED)
    add_npm(host)
    assert host.run("info", TORCHSTASH_BAZEL="npm").stdout == f"npm: {WANTED} info\n"
    assert host.calls("bazel") == []
    assert host.run("info", TORCHSTASH_BAZEL="root").returncode == 1


def test_an_unknown_forced_choice_is_refused(host: FakeHost) -> None:
    done = host.run("info", TORCHSTASH_BAZEL="docker")
    assert done.returncode == 1
    assert "'docker'; it takes path, npm or root" in done.stderr


def test_the_doctor_tells_what_it_found_and_chose_and_installs_nothing(host: FakeHost) -> None:
    host.add("bazel", "echo bazel 4.2.3")
    add_npm(host)
    done = host.run("--doctor")
    assert done.returncode == 0
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert told["wanted"].startswith(f"Bazel {WANTED} (")
    assert told["path"] == f"{host.programs}/bazel gives 4.2.3"
    assert told["npm"].startswith("can install Bazelisk")
    assert told["root"] == "not a Debian-family host"
    assert told["chosen"] == "npm"
    assert host.calls("npm") == []


def test_the_doctor_asks_anew(host: FakeHost) -> None:
    host.add("bazelisk", "exit 1")
    host.run("info")
    host.run("--doctor")
    assert host.calls("bazelisk").count(["--version"]) == 2


def test_the_doctor_fails_where_nothing_works(host: FakeHost) -> None:
    done = host.run("--doctor")
    assert done.returncode == 1
    assert "chosen   nothing" in done.stdout
    assert "found no way" in done.stderr


EVENTS = """
for argument; do [[ $argument == --build_event_json_file=* ]] && events=${{argument#*=}}; done
echo '{{"id":{{"{event}":{{}}}}}}' >"$events"
exit {status}
"""


@pytest.mark.parametrize(
    ("event", "status", "expected"),
    [("testResult", 0, 0), ("targetCompleted", 0, 4), ("testResult", 3, 3), ("aborted", 1, 1)],
)
def test_a_run_in_which_no_test_ran_fails(
    host: FakeHost, event: str, status: int, expected: int
) -> None:
    events = EVENTS.format(event=event, status=status)
    host.add("bazel", f"if {ANSWERS_WANTED}; then exit; fi{events}")
    done = host.run("--nohome_rc", "test", "a b", "--", "test")
    assert done.returncode == expected
    assert ("no test ran" in done.stderr) == (expected == 4)
    startup, command, added, *rest = host.calls("bazel")[-1]
    assert (startup, command, rest) == ("--nohome_rc", "test", ["a b", "--", "test"])
    assert added.startswith("--build_event_json_file=")
