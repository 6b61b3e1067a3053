# Runs a command in the private root as the calling user, with the host's folders where they are.
# shellcheck shell=bash

# Replaces this process.
enter_root() {
  # /proc is bound because bubblewrap's own --proc covers parts of it, and the kernel then refuses Bazel's linux-sandbox
  # a /proc of its own.
  local -a mounts=(--bind "$private_root" / --dev-bind /dev /dev --bind /proc /proc --ro-bind-try /sys /sys)
  local folder file

  # The host's top-level folders, /tmp among them, except those that make up a system.
  for folder in /*; do
    if [[ -d $folder ]] && ! is_system_folder "$folder"; then
      mounts+=(--bind "$folder" "$folder")
    fi
  done
  # A build server's home may lie in a system folder, such as /var/lib/NAME.
  for folder in "$HOME" "$cache" "$repository" "$(workspace_folder)" "${TMPDIR:-}"; do
    if [[ -d $folder && $folder == /*/* ]] && is_system_folder "/$(cut -d/ -f2 <<<"$folder")"; then
      mounts+=(--bind "$folder" "$folder")
    fi
  done
  # How the host resolves names and users, finds packages and trusts servers.
  for file in /etc/{resolv.conf,hosts,nsswitch.conf,passwd,group,pip.conf,xdg/pip}; do
    mounts+=(--ro-bind-try "$file" "$file")
  done
  if [[ -e /etc/ssl/certs/ca-certificates.crt ]]; then # a bare host has none; the root has its own
    for folder in /etc/ssl/certs /usr/share/ca-certificates /usr/local/share/ca-certificates; do # links into the others
      mounts+=(--ro-bind-try "$folder" "$folder")
    done
  fi
  mount_host_drivers

  # Bubblewrap waits for the command. Ctrl-C is the command's to answer (Bazel stops in good order), so bubblewrap must
  # outlive it; when bubblewrap alone is killed, setpriv's death signal asks the command to stop. The Bazel server is in a
  # session of its own and stays.
  trap '' INT QUIT
  # PATH: programs of the host may not run on the root's libraries. JAVA_HOME: names the host's. LC_ALL: the root has no
  # other locale that knows UTF-8, and without one Bazel's server dies of the first file name that is not ASCII.
  exec bwrap "${mounts[@]}" --chdir "$(pwd -P)" --setenv PATH /usr/sbin:/usr/bin:/sbin:/bin --unsetenv JAVA_HOME \
    --setenv LC_ALL C.UTF-8 -- \
    /usr/bin/setpriv --pdeathsig TERM "$@"
}

is_system_folder() {
  case $1 in
    /bin | /boot | /dev | /etc | /lib | /lib32 | /lib64 | /libx32 | /lost+found | /proc | /run | /sbin | /sys | /usr | /var) ;;
    *) return 1 ;;
  esac
}

# The folder that Bazel will take for the workspace: the nearest one above with a marker file.
workspace_folder() {
  local folder
  folder=$(pwd -P)
  while [[ -n $folder ]]; do
    if [[ -e $folder/WORKSPACE || -e $folder/WORKSPACE.bazel || -e $folder/MODULE.bazel ]]; then
      echo "$folder"
      return
    fi
    folder=${folder%/*}
  done
}
