# The two packages that the host itself must have; nothing else of the host is ever changed.
# shellcheck shell=bash

source "$bootstrap/as_root.sh"

# A root that is built already only needs entering.
missing_host_packages() {
  local -a missing=()
  type -P mmdebstrap >/dev/null || [[ -d $private_root ]] || missing+=(mmdebstrap)
  type -P bwrap >/dev/null || missing+=(bubblewrap)
  echo "${missing[*]}"
}

host_packages_obtainable() {
  [[ -z $(missing_host_packages) ]] || ((EUID == 0)) || sudo -n true 2>/dev/null
}

install_host_packages() {
  local -a missing privilege=()
  read -ra missing <<<"$(missing_host_packages)"
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || privilege=(sudo -n)
  say "installing on this host: ${missing[*]} (apt-get, without recommended packages)"
  {
    apt-cache show "${missing[@]}" || "${privilege[@]}" apt-get update
    "${privilege[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
  } >>"$1" 2>&1 </dev/null
}
