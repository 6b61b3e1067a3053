"""Rule sets that this workspace builds with, pinned by hash."""

load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")
load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")

def torchstash_rule_sets():
    """Declares the rule sets. First of the four steps of a WORKSPACE that uses torchstash.

    Where GitHub cannot be reached, `tools/bazelw` overrides each of them with Debian's
    package of the same version: keep the versions equal in both places.
    """
    maybe(
        http_archive,
        name = "rules_python",
        sha256 = "a5640fddd4beb03e8c1fde5ed7160c0ba6bd477e7d048661c30c06936a26fd63",
        strip_prefix = "rules_python-0.22.1",
        url = "https://github.com/bazelbuild/rules_python/releases/download/0.22.1/rules_python-0.22.1.tar.gz",
    )
