"""A package together with what it looks for at run time but does not declare as needed."""

load("@rules_python//python:defs.bzl", "PyInfo")

def _py_package_with_impl(ctx):
    package = ctx.attr.package
    all = [package] + ctx.attr.beside
    return [
        DefaultInfo(
            files = package[DefaultInfo].files,
            runfiles = ctx.runfiles(files = ctx.files.data).merge_all([
                dep[DefaultInfo].default_runfiles
                for dep in all
            ]),
        ),
        PyInfo(
            imports = depset(transitive = [dep[PyInfo].imports for dep in all]),
            transitive_sources = depset(transitive = [dep[PyInfo].transitive_sources for dep in all]),
        ),
    ]

py_package_with = rule(
    implementation = _py_package_with_impl,
    attrs = {
        "beside": attr.label_list(
            doc = "What must be there too. A dependent that imports it declares it itself.",
            providers = [PyInfo],
        ),
        "data": attr.label_list(doc = "Files that must be there too, such as bytecode."),
        "package": attr.label(
            doc = "The package that dependents import.",
            mandatory = True,
            providers = [PyInfo],
        ),
    },
    provides = [PyInfo],
)
