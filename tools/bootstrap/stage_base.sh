#!/usr/bin/env bash
# Stage "base": PARTIAL becomes a minimal Debian. Starts anew each time: a half-made base is of no use.
set -euo pipefail

partial=$1 mirror=$2
source "${BASH_SOURCE[0]%/*}/as_root.sh"

as_root rm -rf "$partial"
mkdir -p "$partial"
settings=$(mktemp)
trap 'rm -f "$settings"' EXIT

# The host's own answers about proxies, certificates and clocks hold for the root's apt as well.
apt-config dump | grep -E '^Acquire::(http|https|Retries|Check-Date|Check-Valid-Until)\b' |
  grep -v 'Proxy-Auto-Detect' >"$settings" || true

# The suite is between releases and its Release file may be past its date; the signature is checked all the same.
# mmdebstrap hands over a tarball because only that works alike for root and for a user with subordinate ids.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mmdebstrap --variant=minbase --format=tar --aptopt="$settings" forky - \
  "deb [signed-by=$keyring check-valid-until=no] $mirror forky main" |
  as_root tar --extract --directory="$partial" --numeric-owner --preserve-permissions --exclude='./dev/*'
