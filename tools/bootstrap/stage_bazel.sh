#!/usr/bin/env bash
# Stage "bazel": Debian's Bazel, with its rule sets, Java and C++ compiler, inside PARTIAL. Goes on where it was stopped:
# apt keeps what it has fetched, and dpkg finishes what it has unpacked.
set -euo pipefail

partial=$1 wanted=$3
source "${BASH_SOURCE[0]%/*}/in_partial_root.sh"

in_partial_root dpkg --configure -a
in_partial_root apt-get "${apt_options[@]}" update
# No fsync per file: the whole root is synced before it gets its final name.
in_partial_root apt-get "${apt_options[@]}" -o Dpkg::Options::=--force-unsafe-io \
  install -y --fix-broken --no-install-recommends bazel-bootstrap
in_partial_root apt-get "${apt_options[@]}" clean

# Debian's rc keeps every sandbox folder, for debugging, and sets an option that Bazel only warns about.
in_partial_root sed -i '/^build /d' /etc/bazel/bazelrc

# The host's certificates will cover this folder, and they may come without a Java key store.
in_partial_root install -D -m 644 /etc/ssl/certs/java/cacerts /usr/lib/torchstash/cacerts

found=$(in_partial_root bazel --version)
[[ $found == "bazel $wanted" ]] || {
  echo "the Debian archive has '$found', not the wanted version $wanted" >&2
  exit 1
}
