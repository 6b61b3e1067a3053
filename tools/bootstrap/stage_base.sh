#!/usr/bin/env bash
# Stage "base": PARTIAL becomes a minimal Debian. Starts anew each time: a half-made base is of no use.
set -euo pipefail

partial=$1 mirror=$2
source "${BASH_SOURCE[0]%/*}/as_root.sh"

as_root rm -rf --one-file-system "$partial"
mkdir -p "$partial"

# The host's own answers about proxies, certificates and clocks hold for the root's apt as well.
mapfile -t settings < <(apt-config dump | grep -E '^Acquire::(http|https|Retries|Check-Date|Check-Valid-Until)\b' |
  grep -v -e 'Proxy-Auto-Detect' -e ' "";$')
settings=("${settings[@]%;}")

# The suite is between releases and its Release file may be past its date; the signature is checked all the same.
# mmdebstrap hands over a tarball because only that works alike for root and for a user with subordinate ids.
# As root it mounts /proc, /sys and /dev/shm below /tmp: in a mount namespace of its own, these end with it even when it is
# killed, and never stay on the host.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -e $keyring ]] || {
  echo "no $keyring to check the archive with; install the package debian-archive-keyring" >&2
  exit 1
}
private_mounts=()
((EUID != 0)) || private_mounts=(unshare --mount --)
"${private_mounts[@]}" mmdebstrap --variant=minbase --format=tar "${settings[@]/#/--aptopt=}" forky - \
  "deb [signed-by=$keyring check-valid-until=no] $mirror forky main" |
  as_root tar --extract --directory="$partial" --numeric-owner --preserve-permissions --exclude='./dev/*'
