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
  python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib
in_partial_root find "$fetched" -name '*.deb' -exec dpkg-deb --extract {} "$prefix" ';'
in_partial_root rm -rf "$fetched" /etc/apt/sources.list.d/bookworm.list

in_partial_root "$prefix/usr/bin/python3.11" -c 'import bz2, ctypes, hashlib, lzma, sqlite3, ssl, uuid, zlib'
