# Source "root": a private Debian root in the user's cache, entered with bubblewrap. For hosts that reach package mirrors
# but neither GitHub nor bazel.build: Debian packages this Bazel together with its rule sets. The package needs a newer
# libc than a stable host has, hence a root of its own.
# shellcheck shell=bash

# Raise it when a stage's recipe changes: the next call then builds a new root beside the old one.
root_recipe=1
private_root=$cache/root-$wanted-$root_recipe

root_ready() {
  [[ -d $private_root ]] && type -P bwrap >/dev/null && why_root="built: $private_root"
}

root_possible() {
  root_ready && return
  source "$bootstrap/host_packages.sh"
  if ! type -P apt-get >/dev/null || ! type -P dpkg >/dev/null; then
    why_root='not a Debian-family host'
  elif ! host_packages_obtainable; then
    why_root="no $(missing_host_packages), and no right to install"
  elif ! can_be_root; then
    why_root='needs root, or user namespaces with an entry in /etc/subuid and the package uidmap'
  elif type -P bwrap >/dev/null && ! bwrap --ro-bind / / true 2>/dev/null; then
    why_root='bubblewrap cannot make namespaces here (a container must be allowed to)'
  else
    why_root="can be built: $private_root"
    return 0
  fi
  return 1
}

root_prepare() {
  root_ready && return
  source "$bootstrap/build_root.sh"
  build_root
}

root_exec() {
  source "$bootstrap/enter_root.sh"
  source "$bootstrap/host_drivers.sh"
  source "$bootstrap/trust_store.sh"
  find_trust_store
  if [[ -n ${PIP_EXTRA_INDEX_URL:-} ]]; then
    set -- --bazelrc="$(rc_for_pip_index "$PIP_EXTRA_INDEX_URL")" "$@"
  fi
  # The property has no reader; but a server that runs in another root must not answer for this one.
  enter_root /usr/bin/bazel --bazelrc="$bootstrap/private_root.bazelrc" \
    --host_jvm_args=-Dtorchstash.private_root="$private_root" \
    --host_jvm_args=-Djavax.net.ssl.trustStore="$trust_store" "$@"
}

# private_root.bazelrc blanks the index that .bazelrc sets, so the caller's own one must come after it. Bazel 7 takes a
# bare --repo_env=NAME from the environment of its server, not of its caller. One file for each value, as two callers may
# differ; private, as the address may hold a password.
rc_for_pip_index() {
  local file
  file=$cache/pip-index-$(cksum <<<"$1" | tr ' ' -).bazelrc
  [[ -e $file ]] || (umask 077 && printf 'common "--repo_env=PIP_EXTRA_INDEX_URL=%s"\n' "$1" >"$file")
  echo "$file"
}
