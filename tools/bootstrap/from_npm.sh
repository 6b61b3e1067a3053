# Source "npm": Bazelisk from npm, which downloads Bazel itself, so it needs the open network too.
# shellcheck shell=bash

bazelisk_version=1.28.1
npm_folder=$cache/bazelisk-$bazelisk_version
npm_bazelisk=$npm_folder/node_modules/.bin/bazelisk

npm_ready() {
  [[ -x $npm_bazelisk ]] && type -P node >/dev/null && why_npm="Bazelisk $bazelisk_version in $npm_folder"
}

npm_possible() {
  npm_ready && return
  if ! type -P npm >/dev/null || ! type -P node >/dev/null; then
    why_npm='npm is not installed'
  elif ! open_network_answers; then
    why_npm='the open network (github.com) does not answer'
  else
    why_npm="can install Bazelisk $bazelisk_version"
    return 0
  fi
  return 1
}

# Installs beside and renames, so that two at once, or one that stops half-way, leave nothing half-made.
npm_prepare() {
  npm_ready && return
  local partial=$npm_folder.partial.$$ log=$cache/bazelisk.log
  say "installing Bazelisk $bazelisk_version from npm and, through it, Bazel $wanted (70 MB; log: $log)"
  mkdir -p "$partial"
  if npm_install_into "$partial" >"$log" 2>&1 </dev/null; then
    [[ -e $npm_folder ]] || mv "$partial" "$npm_folder" # it exists where another call was faster
  fi
  rm -rf "$partial"
  npm_ready && return
  why_npm="Bazelisk did not give Bazel $wanted; log: $log"
  say "$why_npm"
  return 1
}

npm_install_into() {
  local answer
  npm install --prefix "$1" --no-audit --no-fund "@bazel/bazelisk@$bazelisk_version" &&
    answer=$(USE_BAZEL_VERSION=$wanted within_seconds 600 "$1/node_modules/.bin/bazelisk" --version) &&
    [[ $answer == *"bazel $wanted" ]]
}

npm_exec() {
  USE_BAZEL_VERSION=$wanted exec "$npm_bazelisk" "$@"
}

# The rule sets come from there, so a cached Bazel alone would not do.
open_network_answers() {
  if type -P curl >/dev/null; then
    curl --silent --fail --head --output /dev/null --max-time 5 https://github.com
  elif type -P wget >/dev/null; then
    wget --quiet --spider --tries=1 --timeout=5 https://github.com
  else
    within_seconds 5 bash -c ': </dev/tcp/github.com/443'
  fi 2>/dev/null
}
