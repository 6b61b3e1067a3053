# A live line of progress for a stage that takes minutes.
# shellcheck shell=bash

# Reads apt's status ("dlstatus:3:41.7:...", "pmstatus:g++:63.0:...") until it ends, and shows it with the seconds that
# have passed: one line that renews itself on a terminal, else a line every fifteen seconds.
show_progress() {
  local started=$SECONDS shown=$SECONDS line doing='' status now
  while true; do
    status=0
    IFS= read -r -t 1 line || status=$?
    ((status == 1)) && break # the stage is over; above 128: a second without news
    if ((status == 0)) && [[ $line =~ ^(dl|pm)status:.*:([0-9]+)(\.[0-9]+)?: ]]; then
      [[ ${BASH_REMATCH[1]} == dl ]] && doing=fetched || doing=installed
      doing="$doing ${BASH_REMATCH[2]} %, "
    fi
    now="  $doing$((SECONDS - started)) s"
    if [[ -t 2 ]]; then
      printf '\r%-40s' "$now" >&2
    elif ((SECONDS - shown >= 15)); then
      shown=$SECONDS
      say "$now"
    fi
  done
  [[ ! -t 2 ]] || printf '\r%-40s\n' "  done in $((SECONDS - started)) s" >&2
}
