# Who may build a Debian root: root, or a user whose /etc/subuid range gives dpkg the many owners that it needs.
# shellcheck shell=bash

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    unshare --user --map-root-user --map-auto -- "$@"
  fi
}

can_be_root() { as_root true 2>/dev/null; }
