# Source "path": a Bazel or Bazelisk on PATH, when it gives the wanted version.
# shellcheck shell=bash

path_possible() {
  local program seen=
  while IFS= read -r program; do
    # A link to bazelw named `bazel` would call itself for ever.
    [[ $program -ef $repository/tools/bazelw ]] && continue
    ask_version "$program"
    if [[ $version == "$wanted" ]]; then
      path_bazel=$program why_path="$program gives $version"
      return 0
    fi
    seen="$seen${seen:+, }$program gives ${version:-no answer}"
  done < <(type -aP bazel bazelisk)
  why_path=${seen:-no bazel or bazelisk on PATH}
  return 1
}

path_prepare() { :; }

path_exec() {
  # Bazelisk would read .bazelversion of the current workspace; a consumer's workspace may have none.
  USE_BAZEL_VERSION=$wanted exec "$path_bazel" "$@"
}

# Sets `version` to what PROGRAM answers, "" for none. The answer is remembered for as long as the file stays the same,
# because Bazelisk may download here. "No answer" is remembered for a day, or until `--doctor`.
ask_version() {
  local program=$1 identity record remembered
  identity="$wanted $(stat -Lc '%s %Y' "$program" 2>/dev/null || stat -Lf '%z %m' "$program")"
  record=$cache/versions/${program//\//%}
  if [[ -z ${forget:-} && -f $record ]]; then
    { read -r remembered && read -r version; } <"$record" || version=
    if [[ $remembered == "$identity" && (-n $version || -z $(find "$record" -mmin +1440)) ]]; then
      return
    fi
  fi
  version=$(USE_BAZEL_VERSION=$wanted within_seconds 120 "$program" --version 2>/dev/null </dev/null) || version=
  version=${version##*bazel } # "bazel 7.7.1"; Bazelisk may print lines of its own before
  version=${version%%[!0-9.]*}
  { mkdir -p "${record%/*}" && printf '%s\n%s\n' "$identity" "$version" >"$record.$$" && mv "$record.$$" "$record"; } \
    2>/dev/null || : # not remembered, then
}

# macOS has no `timeout`: there a hanging download is the user's to interrupt.
within_seconds() {
  local seconds=$1
  shift
  if type -P timeout >/dev/null; then timeout "$seconds" "$@"; else "$@"; fi
}
