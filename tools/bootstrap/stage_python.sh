#!/usr/bin/env bash
# Stage "python": Debian 12's Python 3.11 in a prefix of its own inside PARTIAL, whose own Python is newer than the
# compiled wheels of the lock file. Unpacked, not installed, so it sees none of the root's dist-packages.
set -euo pipefail

partial=$1 mirror=$2
source "${BASH_SOURCE[0]%/*}/in_partial_root.sh"

prefix=/usr/lib/torchstash/python3.11
fetched=/var/cache/torchstash
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring check-valid-until=no] $mirror bookworm main" |
  in_partial_root tee /etc/apt/sources.list.d/bookworm.list >/dev/null
in_partial_root apt-get "${apt_options[@]}" update
in_partial_root rm -rf "$prefix" "$fetched"
in_partial_root mkdir -p "$prefix" "$fetched"
in_partial_root env --chdir="$fetched" apt-get "${apt_options[@]}" download \
  python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3-distutils libpython3.11-dev
in_partial_root find "$fetched" -name '*.deb' -exec dpkg-deb --extract {} "$prefix" ';'
# Python.h (which torch.compile's kernels include) looks for its other half among the compiler's own folders.
# shellcheck disable=SC2016  # the shell inside expands them
in_partial_root sh -c 'cd "$1"/usr/include/*-linux-gnu && ln -sfn "$PWD/python3.11" "/usr/include/${PWD##*/}/"' - "$prefix"
in_partial_root rm -rf "$fetched" /etc/apt/sources.list.d/bookworm.list

in_partial_root "$prefix/usr/bin/python3.11" -c 'import bz2, ctypes, decimal, lzma, sqlite3, ssl, uuid, zlib'
