# Builds the private root, in stages that each leave a mark: an interrupted build goes on with the stage that it was in.
# It grows under another name and is renamed at the end, so a folder with the final name is complete.
# shellcheck shell=bash

source "$bootstrap/host_packages.sh"
source "$bootstrap/debian_mirror.sh"
source "$bootstrap/progress.sh"

build_root() {
  local partial=$private_root.partial log=$private_root.log
  # The kernel drops this lock when the last process of a build is gone, however it ended.
  { mkdir -p "$cache" && exec 9>"$private_root.lock"; } || die "cannot write to $cache"
  if ! flock --nonblock 9; then
    say "another bazelw is building $private_root; waiting for it"
    flock 9 || die "cannot lock $private_root.lock"
  fi
  install_host_packages "$log" || fail_stage 'installing host packages' "$log"
  [[ -d $private_root ]] || build_stages
  exec 9>&-
}

build_stages() {
  say "building a private Debian root with Bazel $wanted, once: $private_root (1.6 GB, 2 to 5 minutes; log: $log)"
  bwrap --ro-bind / / true 2>>"$log" || fail_stage 'bubblewrap cannot make namespaces here; starting it' "$log"
  : "${debian_mirror:=$(find_debian_mirror "$log")}"
  [[ -n $debian_mirror ]] || die "this host's apt names no Debian archive; set TORCHSTASH_DEBIAN_MIRROR to its address"

  run_stage base 'Debian base system (150 MB, 20 s)'
  run_stage bazel 'Bazel, its rule sets, Java and a C++ compiler (400 MB to fetch, 90 s)'
  run_stage python 'Python 3.11 for the build (10 MB, 10 s)'
  { sync --file-system "$partial" && mv "$partial" "$private_root"; } || die "cannot complete $private_root"
  say "built $private_root"
}

# Each stage is a script, so that it stops at its first error. It writes apt's machine-readable progress to fd 3.
run_stage() {
  local stage=$1 title=$2 mark=$partial/.stage-$1
  [[ -e $mark ]] && return
  say "$title"
  printf '\n== %s, %s\n' "$stage" "$(date)" >>"$log"
  bash "$bootstrap/stage_$stage.sh" "$partial" "$debian_mirror" "$wanted" 3>&1 >>"$log" 2>&1 </dev/null |
    show_progress || fail_stage "$title" "$log"
  touch "$mark" || die "cannot write to $partial"
}

fail_stage() {
  tail -n 15 "$2" >&2
  die "failed: $1. The whole log: $2. Run the same command again to go on from here."
}
