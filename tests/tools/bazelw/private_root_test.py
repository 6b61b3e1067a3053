"""How tools/bazelw builds the private root and runs in it, on a host of stubs."""

from pathlib import Path

import pytest

from torchstash.tests.tools.bazelw.fake_host import FakeHost, wanted_version

WANTED = wanted_version()
MIRROR = "http://mirror.invalid/debian"

# Runs what is asked for "in the root": Bazel shows its arguments, the rest succeeds in silence.
BWRAP = f"""
[[ $* == '--ro-bind / / true' ]] && exit
while (($#)) && [[ $1 != -- ]]; do
  [[ "$1 $3" == '--bind /etc/ssl/certs/java' ]] && java_folder=$2
  [[ "$1 $3" == '--bind /mnt' ]] && list_folder=$2
  shift
done
case $2 in
  apt-get)
    if [[ $* == *' install '* && -e "$HOME/mirror_fails" ]]; then
      echo 'E: no answer'
      exit 100
    fi ;;
  bazel) echo "bazel $(cat "$HOME/bazel_in_archive" 2>/dev/null || echo {WANTED})" ;;
  tee) cat >/dev/null ;;
  /bin/sh) [[ -e $HOME/no_key_store ]] || echo store >"$java_folder/cacerts" ;;
  /usr/sbin/ldconfig) [[ -e $HOME/no_list ]] || echo list >"$list_folder/ld.so.cache" ;;
  /usr/bin/setpriv) printf '<%s>' "${{@:6}}" ;;
esac
exit 0
"""
MMDEBSTRAP = """
sleep 0.5
folder=$(mktemp -d)
mkdir -p "$folder/usr"
tar --create --directory="$folder" .
"""
APT_GET = f"""
case $1 in
  indextargets)
    echo 'Docker|Docker|main|http://other.invalid/debian/'
    echo 'Debian|Debian-Security|main|{MIRROR}-security/'
    echo 'Debian|Debian|main|{MIRROR}/' ;;
  install)
    for package; do
      case $package in
        mmdebstrap) mv "$NOT_INSTALLED/mmdebstrap" "${{0%/*}}/" ;;
        bubblewrap) mv "$NOT_INSTALLED/bwrap" "${{0%/*}}/" ;;
      esac
    done ;;
esac
"""
SKIP_TO_COMMAND = 'while [[ $1 == -* ]]; do shift; done; "$@"'


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """A Debian host with package mirrors only."""
    host = FakeHost(tmp_path)
    host.add("apt-cache")
    host.add("apt-config")
    host.add("apt-get", APT_GET)
    host.add("bwrap", BWRAP)
    host.add("dpkg")
    host.add("ldconfig")
    host.add("mmdebstrap", MMDEBSTRAP)
    host.add("sudo", SKIP_TO_COMMAND)
    host.add("unshare", SKIP_TO_COMMAND)
    return host


def private_root(host: FakeHost) -> Path:
    return host.cache / f"root-{WANTED}-1"


def last_mounts(host: FakeHost) -> list[str]:
    """The options of bubblewrap when it entered the root."""
    call = host.calls("bwrap")[-1]
    return call[: call.index("--")]


def has_option(options: list[str], *wanted: str) -> bool:
    return any(tuple(options[at : at + len(wanted)]) == wanted for at in range(len(options)))


def test_the_root_is_built_once_from_the_hosts_debian_archive(host: FakeHost) -> None:
    first, second = host.run("info"), host.run("info")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert second.stderr == ""
    (call,) = host.calls("mmdebstrap")
    assert f"{MIRROR} forky main" in call[-1]


def test_file_names_are_utf_8_whatever_the_hosts_locale(host: FakeHost) -> None:
    host.run("info", LC_ALL="de_DE.UTF-8")
    assert has_option(last_mounts(host), "--setenv", "LC_ALL", "C.UTF-8")


HOST_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def trust_store(host: FakeHost) -> str:
    """The key store that Bazel was last started with."""
    option = "--host_jvm_args=-Djavax.net.ssl.trustStore="
    (found,) = [word for word in host.calls("bwrap")[-1] if word.startswith(option)]
    return found.removeprefix(option)


def test_the_hosts_certificates_are_trusted_and_converted_once(host: FakeHost) -> None:
    host.run("info")
    first = trust_store(host)
    calls = len(host.calls("bwrap"))
    host.run("info")
    assert trust_store(host) == first
    assert len(host.calls("bwrap")) == calls + 1
    if HOST_BUNDLE.exists():
        assert Path(first).read_text() == "store\n"
        assert Path(first).parent.parent == host.cache
    else:
        assert first == "/usr/lib/torchstash/cacerts"


def test_certificates_that_cannot_be_converted_are_told_and_leave_debians(host: FakeHost) -> None:
    (host.home / "no_key_store").touch()
    done = host.run("info")
    assert done.returncode == 0
    assert trust_store(host) == "/usr/lib/torchstash/cacerts"
    assert ("could not be made a Java key store" in done.stderr) == HOST_BUNDLE.exists()
    assert not list(host.cache.glob("trust-*"))


DRIVERS = "/usr/lib/torchstash/drivers"


@pytest.fixture
def driver(host: FakeHost) -> Path:
    """The host's driver of NVIDIA, which its loader knows; among libraries that are none."""
    path = host.home / "libcuda.so.1"
    path.write_text("the host's")
    known = [
        f"libcuda.so.1 (libc6) => {host.home}/i386/libcuda.so.1",
        f"libcuda.so.1 (libc6,x86-64) => {path}",
        f"libcudart.so.13 (libc6,x86-64) => {host.home}/libcudart.so.13",
        f"libnvidia-ml.so.1 (libc6,x86-64) => {host.home}/is/gone/libnvidia-ml.so.1",
    ]
    lines = "\n".join(["4 libs found in cache", *(f"\t{line}" for line in known)])
    host.add("ldconfig", f"[[ $* == -p ]] && cat <<'END'\n{lines}\nEND")
    return path


def drivers_of(host: FakeHost) -> list[str]:
    """The files mounted as drivers in the root, by their names there."""
    return [word for word in last_mounts(host) if word.startswith(DRIVERS + "/")]


def test_the_hosts_drivers_are_mounted_and_listed_once(host: FakeHost, driver: Path) -> None:
    host.run("info")
    mounts = last_mounts(host)
    assert has_option(mounts, "--tmpfs", DRIVERS)
    assert has_option(mounts, "--ro-bind", str(driver), f"{DRIVERS}/libcuda.so.1")
    assert drivers_of(host) == [f"{DRIVERS}/libcuda.so.1"]
    mounted = mounts[mounts.index("/etc/ld.so.cache") - 1]
    assert Path(mounted).read_text() == "list\n"
    assert Path(mounted).parent.parent == host.cache

    calls = len(host.calls("bwrap"))
    host.run("info")
    assert last_mounts(host) == mounts
    assert len(host.calls("bwrap")) == calls + 1


def test_a_driver_on_the_callers_library_path_comes_first(host: FakeHost, driver: Path) -> None:
    folder = host.home / "mine of two words"
    folder.mkdir()
    for name in ("libcuda.so.1", "libze_loader.so.1", "libcudart.so.13"):
        (folder / name).touch()
    host.run("info", LD_LIBRARY_PATH=f"/nowhere:{folder}")
    mounts = last_mounts(host)
    assert has_option(mounts, "--ro-bind", f"{folder}/libcuda.so.1", f"{DRIVERS}/libcuda.so.1")
    assert drivers_of(host) == [f"{DRIVERS}/libcuda.so.1", f"{DRIVERS}/libze_loader.so.1"]
    assert str(driver) not in mounts


def test_a_host_without_drivers_leaves_the_roots_own_list(host: FakeHost) -> None:
    host.run("info")
    if not Path("/usr/local/nvidia/lib64").exists() and not Path("/usr/lib/wsl/lib").exists():
        assert drivers_of(host) == []
        assert "/etc/ld.so.cache" not in last_mounts(host)


def test_drivers_that_cannot_be_listed_are_told_and_left_out(host: FakeHost, driver: Path) -> None:
    (host.home / "no_list").touch()
    done = host.run("info")
    assert done.returncode == 0
    assert "torch will find no accelerator there" in done.stderr
    assert drivers_of(host) == []
    assert not list(host.cache.glob("libraries-*"))


def test_a_named_archive_is_used_instead(host: FakeHost) -> None:
    host.run("info", TORCHSTASH_DEBIAN_MIRROR="http://mine.invalid/debian")
    assert "http://mine.invalid/debian forky main" in host.calls("mmdebstrap")[0][-1]


def test_progress_is_told_on_stderr_only(host: FakeHost) -> None:
    done = host.run("info")
    for told in ("building a private Debian root", "Debian base system", "C++ compiler", "built "):
        assert told in done.stderr
    assert done.stdout.endswith("<info>")


def test_a_complete_root_needs_no_probing(host: FakeHost) -> None:
    host.run("info")
    host.add("npm")
    host.add("node")
    host.add("curl")
    host.run("info")
    assert host.calls("curl") == []


@pytest.mark.parametrize("argument", ["a b", "", "*", "$HOME", "--", "a\nb"])
def test_arguments_arrive_untouched(host: FakeHost, argument: str) -> None:
    done = host.run("run", "//:it", "--", argument, "last")
    assert done.stdout.endswith(f"<run><//:it><--><{argument}><last>")


def test_the_callers_folder_is_mounted_and_entered(host: FakeHost) -> None:
    host.run("info")
    top = "/" + host.workspace.resolve().parts[1]
    assert has_option(last_mounts(host), "--bind", top, top)
    assert has_option(last_mounts(host), "--chdir", str(host.workspace.resolve()))
    assert not has_option(last_mounts(host), "--bind", "/usr", "/usr")


def test_a_home_in_a_system_folder_is_mounted(host: FakeHost) -> None:
    host.run("info", HOME="/var/lib", XDG_CACHE_HOME=str(host.home / ".cache"))
    assert has_option(last_mounts(host), "--bind", "/var/lib", "/var/lib")
    assert not has_option(last_mounts(host), "--bind", "/var", "/var")


def test_the_callers_index_of_packages_comes_after_the_roots_own_settings(host: FakeHost) -> None:
    without = host.run("info").stdout
    with_index = host.run("info", PIP_EXTRA_INDEX_URL="https://user:secret@mine.invalid").stdout
    own, given = with_index.index("private_root.bazelrc"), with_index.index("pip-index-")
    assert own < given
    assert "pip-index-" not in without
    (rc,) = host.cache.glob("pip-index-*")
    assert "PIP_EXTRA_INDEX_URL=https://user:secret@mine.invalid" in rc.read_text()
    assert rc.stat().st_mode & 0o077 == 0


def test_two_at_once_build_one_root(host: FakeHost) -> None:
    both = [host.start("info"), host.start("info")]
    told = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len(host.calls("mmdebstrap")) == 1
    assert sum("another bazelw is building" in err for _, err in told) == 1


def test_a_failed_stage_is_told_and_the_next_call_goes_on_from_it(host: FakeHost) -> None:
    (host.home / "mirror_fails").touch()
    failed = host.run("info")
    assert failed.returncode == 1
    assert "E: no answer" in failed.stderr
    assert f"The whole log: {private_root(host)}.log" in failed.stderr
    assert not private_root(host).exists()

    (host.home / "mirror_fails").unlink()
    resumed = host.run("info")
    assert resumed.returncode == 0, resumed.stderr
    assert "Debian base system" not in resumed.stderr
    assert len(host.calls("mmdebstrap")) == 1


def test_an_interrupted_base_starts_clean(host: FakeHost) -> None:
    left_over = Path(f"{private_root(host)}.partial") / "half" / "made"
    left_over.mkdir(parents=True)
    assert host.run("info").returncode == 0
    assert not (private_root(host) / "half").exists()


def test_an_archive_with_another_version_is_refused(host: FakeHost) -> None:
    (host.home / "bazel_in_archive").write_text("8.0.0")
    failed = host.run("info")
    assert failed.returncode == 1
    assert f"has 'bazel 8.0.0', not the wanted version {WANTED}" in failed.stderr


def test_only_the_two_packages_are_installed_on_the_host(host: FakeHost) -> None:
    for name, body in (("mmdebstrap", MMDEBSTRAP), ("bwrap", BWRAP)):
        (host.programs / name).unlink()
        host.add(name, body, installed=False)
    done = host.run("info", NOT_INSTALLED=str(host.not_installed))
    assert done.returncode == 0, done.stderr
    assert "installing on this host: mmdebstrap bubblewrap" in done.stderr
    (install,) = (call for call in host.calls("apt-get") if "install" in call)
    assert install == ["install", "-y", "--no-install-recommends", "mmdebstrap", "bubblewrap"]


def test_a_host_that_forbids_namespaces_is_told_so(host: FakeHost) -> None:
    host.add("bwrap", "exit 1")
    done = host.run("info")
    assert done.returncode == 1
    assert "bubblewrap cannot make namespaces here" in done.stderr
    assert host.calls("mmdebstrap") == []


def test_without_a_debian_archive_its_address_is_asked_for(host: FakeHost) -> None:
    host.add("apt-get")
    done = host.run("info")
    assert done.returncode == 1
    assert "set TORCHSTASH_DEBIAN_MIRROR" in done.stderr


def test_a_cache_that_cannot_be_written_is_told(host: FakeHost) -> None:
    done = host.run("info", XDG_CACHE_HOME="/dev/null/none")
    assert done.returncode == 1
    assert "cannot write to /dev/null/none/torchstash" in done.stderr
    assert "waiting" not in done.stderr


def test_the_doctor_tells_of_the_root_before_and_after(host: FakeHost) -> None:
    before = host.run("--doctor").stdout
    assert "drivers  of no accelerator on this host" in before
    assert f"root     can be built: {private_root(host)}" in before
    assert "chosen   root" in before
    assert host.calls("mmdebstrap") == []
    host.run("info")
    assert f"root     built: {private_root(host)}" in host.run("--doctor").stdout
