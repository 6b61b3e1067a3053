"""A package together with what it looks for at run time but does not declare as needed."""

load("@rules_python//python:defs.bzl", "PyInfo")

_LIBRARIES = "/data/lib/"

def _at_the_root(files):
    """Shared libraries by the place in the runfiles where they have to lie."""
    return {
        file.path.partition(_LIBRARIES)[2]: file
        for file in files
        if _LIBRARIES in file.path and ".so" in file.basename and not file.basename.endswith(".py")
    }

def _py_package_with_impl(ctx):
    package = ctx.attr.package
    all = [package] + ctx.attr.beside
    return [
        DefaultInfo(
            files = package[DefaultInfo].files,
            runfiles = ctx.runfiles(
                files = ctx.files.data,
                root_symlinks = _at_the_root(ctx.files.libraries),
            ).merge_all([
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
        "libraries": attr.label_list(
            doc = """Files of wheels that pip installs into an environment's `lib`. Those that are shared libraries
            go to the root of the runfiles, which lies as far above `site-packages` as that folder does:
            libraries of the package look there by a path relative to their own.""",
        ),
        "package": attr.label(
            doc = "The package that dependents import.",
            mandatory = True,
            providers = [PyInfo],
        ),
    },
    provides = [PyInfo],
)
