# Runs a command as root inside the root that is being built.
# shellcheck shell=bash

source "${BASH_SOURCE[0]%/*}/as_root.sh"

# Package scripts need /proc and /dev; apt's own user writes to /tmp. Packages write /etc/ssl/certs, so the host's bundle
# for https mirrors lies elsewhere.
in_partial_root() {
  local host_ca=''
  eval "$(apt-config shell host_ca Acquire::https::CaInfo)"
  as_root bwrap --bind "$partial" / --dev-bind /dev /dev --proc /proc --ro-bind-try /sys /sys --perms 1777 --tmpfs /tmp \
    --ro-bind /etc/resolv.conf /etc/resolv.conf --ro-bind-try /etc/hosts /etc/hosts \
    --ro-bind-try "${host_ca:-/etc/ssl/certs/ca-certificates.crt}" /run/host-ca.crt \
    --chdir / --setenv HOME /root --setenv PATH /usr/sbin:/usr/bin:/sbin:/bin --setenv DEBIAN_FRONTEND noninteractive \
    --setenv LC_ALL C.UTF-8 --unsetenv TMPDIR -- "$@"
}

# For every apt-get in there. fd 3 takes its progress.
apt_options=(-o Acquire::https::CaInfo=/run/host-ca.crt -o Acquire::Languages=none -o Acquire::Retries=3
  -o APT::Status-Fd=3)
