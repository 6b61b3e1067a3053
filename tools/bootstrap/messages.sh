# What bazelw says, always on stderr: stdout belongs to Bazel.
# shellcheck shell=bash

say() { printf 'bazelw: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# Every `*_possible` leaves its reason in why_path, why_npm, why_root.
nothing_works() {
  say "found no way to run Bazel $wanted on this host:"
  say "  path  ${why_path:-not tried}"
  say "  npm   ${why_npm:-not tried}"
  say "  root  ${why_root:-not tried}"
  say "Install one of these, then run again:"
  say "  - Bazelisk (or Bazel $wanted) on PATH: https://github.com/bazelbuild/bazelisk"
  say "  - on the open network: Node.js with npm"
  say "  - on Debian or a relative of it, as root: apt-get install mmdebstrap bubblewrap uidmap"
  exit 1
}
