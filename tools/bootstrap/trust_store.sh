# Whom Bazel's own downloads trust: the certificates of the host where it has any, since a company's proxy may sign with its
# own. Java reads no PEM bundle: Debian's own tool makes it a key store, once for each state of the bundle.
# shellcheck shell=bash

host_bundle=/etc/ssl/certs/ca-certificates.crt

# Sets `trust_store`, a path inside the private root.
find_trust_store() {
  trust_store=/usr/lib/torchstash/cacerts
  [[ -r $host_bundle ]] || return 0
  local converted
  converted=$cache/trust-$(cksum <"$host_bundle" | tr ' ' -)
  [[ -s $converted/cacerts ]] || convert_bundle "$converted"
  if [[ -s $converted/cacerts ]]; then
    trust_store=$converted/cacerts
  else
    echo "bazelw: the certificates of $host_bundle could not be made a Java key store; Bazel trusts Debian's alone" >&2
  fi
}

# Makes FOLDER with the key store in it, whole or not at all.
convert_bundle() {
  local folder=$1 partial
  partial=$(mktemp -d "$1.XXXXXX")
  # The tool takes one certificate a file, and has one place to write to.
  # shellcheck disable=SC2016  # the shell inside expands them
  bwrap --bind "$private_root" / --dev-bind /dev /dev --proc /proc --ro-bind "$host_bundle" /run/host-ca.crt \
    --bind "$partial" /etc/ssl/certs/java --chdir /etc/ssl/certs/java --setenv PATH /usr/bin:/bin --unsetenv JAVA_HOME -- \
    /bin/sh -c 'awk "/-BEGIN CERTIFICATE-/ { n++; inside = 1 } inside { print > (n \".pem\") } /-END CERTIFICATE-/ { inside = 0 }" \
      /run/host-ca.crt && for file in *.pem; do echo "+$PWD/$file"; done |
      java -jar /usr/share/ca-certificates-java/ca-certificates-java.jar && rm -f ./*.pem' >/dev/null 2>&1 || :
  if [[ -s $partial/cacerts ]]; then
    mv -T "$partial" "$folder" 2>/dev/null || : # another call may have been first
  fi
  rm -rf "$partial"
}
