# Which Debian archive to build from: the one that the host's own apt trusts and reaches.
# shellcheck shell=bash

# Prints its address, or nothing. Where the host keeps no package lists (a bare container), lists of our own are fetched.
find_debian_mirror() {
  local log=$1 lists
  debian_archive_of_apt && return
  lists=$(mktemp -d)
  mkdir "$lists/partial"
  apt-get update -o Dir::State::Lists="$lists" -o Dir::Cache="$lists" -o Debug::NoLocking=1 \
    -o APT::Sandbox::User=root >>"$log" 2>&1 || true
  debian_archive_of_apt -o Dir::State::Lists="$lists" || true
  rm -rf "$lists"
}

# Third-party archives and the security archive carry another origin or label.
debian_archive_of_apt() {
  local address
  # shellcheck disable=SC2016  # apt's own variables
  address=$(apt-get indextargets "$@" --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    sed -n 's/^Debian|Debian|main|\(https\{0,1\}:.*[^/]\)\/*$/\1/p' | head -n 1)
  [[ -n $address ]] && echo "$address"
}
