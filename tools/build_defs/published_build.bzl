"""A build of a package that not every network has: asked for by name first, so that its absence is told in a sentence."""

_BUILD = """
package(default_visibility = ["//visibility:public"])

[
    alias(
        name = name,
        actual = "@{repository}//:" + name,
    )
    for name in {targets}
]
"""

_ABSENT = """
{package} {version} is in no package index that pip asks here. It is published in
{index}: reach that, or tell pip of a mirror or a folder that has
the wheel (extra-index-url or find-links in pip's configuration). Its hash must be the one in {pin}."""

def _published_build_impl(rctx):
    package, _, version = rctx.read(rctx.attr.pin).split(" ")[0].partition("==")
    asked = rctx.execute(
        [rctx.path(rctx.attr.python), "-m", "pip", "index", "versions", "--retries=1", package],
        environment = {"PYTHONPATH": str(rctx.path(rctx.attr.pip).dirname)},
    )
    if version not in asked.stdout.replace("\n", " ").replace(",", " ").split(" "):
        fail(_ABSENT.format(
            index = rctx.attr.index,
            package = package,
            pin = rctx.attr.pin.package + "/" + rctx.attr.pin.name,
            version = version,
        ))
    rctx.file("BUILD.bazel", _BUILD.format(repository = rctx.attr.repository, targets = rctx.attr.targets))

published_build = repository_rule(
    implementation = _published_build_impl,
    doc = """Targets of a wheel's repository under their own names, behind a look into the package indexes.

    Without it the first that a user learns is a page of pip's retries and tracebacks.""",
    attrs = {
        "index": attr.string(
            doc = "Where the build is published, for the message.",
            mandatory = True,
        ),
        "pin": attr.label(
            doc = "File that starts with `PACKAGE==VERSION `.",
            mandatory = True,
        ),
        "pip": attr.label(
            default = "@pypi__pip//:BUILD.bazel",
            doc = "A file beside pip, which rules_python brings along.",
        ),
        "python": attr.label(default = "@torchstash_python//:python3"),
        "repository": attr.string(
            doc = "The wheel's repository, fetched only after the look.",
            mandatory = True,
        ),
        "targets": attr.string_list(mandatory = True),
    },
)
