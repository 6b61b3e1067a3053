# A `bazel test` in which every target was SKIPPED (a device asked for by tag, say, and not by --config) exits 0, as if all
# were well. Here a run in which no test ran fails, with the status that Bazel has for "no tests were found".
# shellcheck shell=bash

readonly no_tests_status=4

# run_tests SOURCE POSITION ARGS...: `bazel ARGS...` from that source, `test` being the argument at that position;
# exits with its status, or with the one above.
run_tests() {
  local source=$1 position=$2 status=0 events
  shift 2
  events=$(mktemp)
  # First among the command's options: a later one of the same name, the user's own, wins.
  ("${source}_exec" "${@:1:position}" "--build_event_json_file=$events" "${@:position+1}") || status=$?
  if [[ $status -eq 0 && -s $events ]] && ! grep -q '"id":{"testResult":' "$events"; then
    echo 'bazelw: no test ran: every target was skipped. To run the tests of a device: --config=cpu|cuda|mps|xpu' >&2
    status=$no_tests_status
  fi
  rm -f "$events"
  exit "$status"
}

# Sets `position` to that of Bazel's command among ARGS, from 1: the first that is no startup option. 0 for none.
find_command() {
  position=0
  while [[ $# -gt 0 ]]; do
    position=$((position + 1))
    [[ $1 == -* ]] || return 0
    shift
  done
  position=0
}
