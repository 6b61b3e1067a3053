"""A Python library whose imports are held against its direct dependencies.

Python finds a module wherever it lies on the path, so a library can import what only a
dependency of a dependency declares. Here a validation action reads the sources' imports and
fails the build of the library, and of whatever depends on it, unless each is given by a direct
dependency or by Python itself, or is declared to be optional.
"""

load("@rules_python//python:defs.bzl", "PyInfo")

_SITE_PACKAGES = "site-packages/"

def _module(workspace_name, file):
    """Dotted name under which a source of a workspace is imported."""
    path = file.short_path
    if path.startswith("../"):
        path = path[len("../"):]
    else:
        path = workspace_name + "/" + path
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

def _provided(ctx, dep):
    """What a direct dependency allows to be imported: modules, or a wheel's top-level names."""
    names = {}
    for file in dep[DefaultInfo].files.to_list():
        _, found, path = file.path.partition(_SITE_PACKAGES)
        if found:
            names[path.split("/")[0].removesuffix(".py") + ".*"] = None
        elif file.extension == "py":
            names[_module(ctx.workspace_name, file)] = None
    return names.keys()

def _check_imports(ctx):
    allowed = {_module(ctx.workspace_name, file): None for file in ctx.files.srcs}
    for dep in ctx.attr.deps:
        allowed.update({name: None for name in _provided(ctx, dep)})
    allowed.update({package + ".*": None for package in ctx.attr.optional_imports})
    report = ctx.actions.declare_file(ctx.label.name + ".imports")
    arguments = ctx.actions.args()
    arguments.add("--target", str(ctx.label))
    arguments.add("--report", report)
    arguments.add_all(allowed.keys(), before_each = "--allow")
    arguments.add_all(ctx.files.srcs)
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._check_imports,
        inputs = ctx.files.srcs,
        mnemonic = "PyCheckImports",
        outputs = [report],
    )
    return report

def _checked_py_library_impl(ctx):
    deps = ctx.attr.deps + ctx.attr.implicit_deps
    infos = [dep[PyInfo] for dep in deps]
    sources = depset(ctx.files.srcs, transitive = [info.transitive_sources for info in infos], order = "postorder")
    runfiles = ctx.runfiles(files = ctx.files.srcs + ctx.files.data)
    return [
        DefaultInfo(
            files = depset(ctx.files.srcs),
            runfiles = runfiles.merge_all([
                target[DefaultInfo].default_runfiles
                for target in deps + ctx.attr.data
            ]),
        ),
        PyInfo(
            imports = depset(transitive = [info.imports for info in infos]),
            transitive_sources = sources,
        ),
        OutputGroupInfo(_validation = depset([_check_imports(ctx)])),
    ]

checked_py_library = rule(
    implementation = _checked_py_library_impl,
    attrs = {
        "data": attr.label_list(
            allow_files = True,
            doc = "Files that the sources read when they run.",
        ),
        "deps": attr.label_list(
            doc = "What the sources import.",
            providers = [PyInfo],
        ),
        "implicit_deps": attr.label_list(
            doc = "What must lie beside the sources at run time, imported by name or not.",
            providers = [PyInfo],
        ),
        "optional_imports": attr.string_list(
            doc = "Packages that the sources use where they are, and that nothing brings: the module is imported by whoever can do without it.",
        ),
        "srcs": attr.label_list(
            allow_files = [".py"],
            doc = "The sources, one module or a package's.",
        ),
        "_check_imports": attr.label(
            cfg = "exec",
            default = "//tools/build_defs:check_imports",
            executable = True,
        ),
    },
    provides = [PyInfo],
)
