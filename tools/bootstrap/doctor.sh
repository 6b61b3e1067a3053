# `bazelw --doctor`: what was found and what would be chosen. Asks every source anew, installs nothing.
# shellcheck shell=bash

source "$bootstrap/host_drivers.sh"

doctor() {
  local source step possible='' chosen='' forget=yes
  local -a drivers
  mapfile -t drivers < <(host_drivers)
  for source in path npm root; do
    "${source}_possible" && possible+=" ${source}_possible"
  done
  for step in $steps; do
    if [[ " $possible " == *" $step "* ]] || { [[ $step == *_ready ]] && "$step"; }; then
      chosen=${step%%_*}
      break
    fi
  done
  cat <<END
wanted   Bazel $wanted ($repository/.bazelversion)
cache    $cache
forced   ${forced:-no} (TORCHSTASH_BAZEL)
path     $why_path
npm      $why_npm
root     $why_root
drivers  ${drivers[*]:-of no accelerator on this host} (for the private root)
mirror   ${debian_mirror:-as in the apt sources} (TORCHSTASH_DEBIAN_MIRROR)
chosen   ${chosen:-nothing}
END
  [[ -n $chosen ]] || nothing_works
}
