# `bazelw --doctor`: what was found and what would be chosen. Asks everything anew, changes nothing.
# shellcheck shell=bash

doctor() {
  local step chosen='' forget=yes
  path_possible || :
  npm_possible || :
  root_possible || :
  for step in $steps; do
    if "$step"; then
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
mirror   ${debian_mirror:-as in the apt sources} (TORCHSTASH_DEBIAN_MIRROR)
chosen   ${chosen:-nothing}
END
  [[ -n $chosen ]] || nothing_works
}
