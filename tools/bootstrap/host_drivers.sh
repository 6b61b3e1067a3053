# The host's drivers of accelerators, for the private root, which has none of the host's libraries. torch and Triton look for
# them by name at run time, the one through the dynamic loader, the other in the list of `ldconfig -p`. So each is mounted, alone
# and read-only, into a folder of its own, and a list of libraries that knows the folder is mounted over the root's. Unlike
# LD_LIBRARY_PATH that reaches every test, is no input of any action, and leaves nothing in the root.
# shellcheck shell=bash

driver_folder=/usr/lib/torchstash/drivers

is_driver() {
  case $1 in
    libcuda.so.* | libcudadebugger.so.* | libnvidia-*.so.* | libdxcore.so) ;; # NVIDIA; the last is WSL's way to it
    libze_*.so.* | libigdgmm.so.* | libigc.so.* | libigdfcl.so.* | libopencl-clang*.so.*) ;; # Intel: Level Zero, its compiler
    *) return 1 ;;
  esac
}

# Prints paths in the order in which the host's loader would take them.
host_drivers() {
  local folder line ldconfig
  local -a folders
  IFS=: read -ra folders <<<"$library_path"
  for folder in "${folders[@]}"; do drivers_in "$folder"; done
  # A user's PATH seldom has it.
  ldconfig=$(type -P ldconfig) || ldconfig=/sbin/ldconfig
  while read -r line; do # NAME (libc6,x86-64) => PATH
    if [[ $line =~ ^([^ ]+)\ \(libc6,(x86-64|AArch64).*\ =\>\ (/.*)$ ]] && is_driver "${BASH_REMATCH[1]}"; then
      echo "${BASH_REMATCH[3]}"
    fi
  done < <("$ldconfig" -p 2>/dev/null)
  # Where containers and WSL put them, told to the loader or not.
  drivers_in /usr/local/nvidia/lib64
  drivers_in /usr/lib/wsl/lib
}

drivers_in() {
  local path
  for path in "$1"/lib*.so*; do
    if [[ -f $path ]] && is_driver "${path##*/}"; then
      echo "$path"
    fi
  done
}

# Adds to `mounts`.
mount_host_drivers() {
  local path name list
  local -A seen=()
  local -a drivers=()
  while read -r path; do
    name=${path##*/}
    if [[ -z ${seen[$name]:-} && -f $path ]]; then
      seen[$name]=yes
      drivers+=(--ro-bind "$path" "$driver_folder/$name")
    fi
  done < <(host_drivers)
  ((${#drivers[@]})) || return 0
  drivers=(--tmpfs "$driver_folder" "${drivers[@]}")
  # WSL's libraries go on from there to the ones of Windows.
  [[ ! -d /usr/lib/wsl ]] || drivers+=(--ro-bind /usr/lib/wsl /usr/lib/wsl)

  list=$cache/libraries-$(cksum <<<"$private_root ${drivers[*]}" | tr ' ' -)
  [[ -s $list/ld.so.cache ]] || list_libraries "$list" "${drivers[@]}"
  if [[ -s $list/ld.so.cache ]]; then
    mounts+=("${drivers[@]}" --ro-bind "$list/ld.so.cache" /etc/ld.so.cache)
  else
    say "the host's drivers could not be listed for the private root; torch will find no accelerator there"
  fi
}

# list_libraries FOLDER MOUNTS...: makes FOLDER with the list in it, whole or not at all.
list_libraries() {
  local folder=$1 partial
  shift
  partial=$(mktemp -d "$folder.XXXXXX")
  bwrap --bind "$private_root" / --dev-bind /dev /dev --proc /proc "$@" --bind "$partial" /mnt --chdir / -- \
    /usr/sbin/ldconfig -X -C /mnt/ld.so.cache "$driver_folder" >/dev/null 2>&1 || :
  if [[ -s $partial/ld.so.cache ]]; then
    mv -T "$partial" "$folder" 2>/dev/null || : # another call may have been first
  fi
  rm -rf "$partial"
}
