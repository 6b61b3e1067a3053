"""A wheel of this workspace's Python packages, under the workspace's name."""

load("@rules_python//python:defs.bzl", "PyInfo")

def _is_ours(file):
    return not file.short_path.startswith("../")

def _python_wheel_impl(ctx):
    wheel = ctx.actions.declare_file("{}-{}-py3-none-any.whl".format(ctx.attr.distribution, ctx.attr.version))
    files = depset(transitive = [dep[DefaultInfo].default_runfiles.files for dep in ctx.attr.deps])
    packaged = [file for file in files.to_list() if _is_ours(file)]
    arguments = ctx.actions.args()
    arguments.set_param_file_format("multiline")
    arguments.use_param_file("@%s")
    arguments.add("--wheel", wheel)
    arguments.add("--pyproject", ctx.file.pyproject)
    arguments.add("--readme", ctx.file.readme)
    arguments.add("--license", ctx.file.license)
    for file in packaged:
        arguments.add("--file")
        arguments.add(file)
        arguments.add(ctx.workspace_name + "/" + file.short_path)
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._build_wheel,
        inputs = packaged + [ctx.file.pyproject, ctx.file.readme, ctx.file.license],
        mnemonic = "PyWheel",
        outputs = [wheel],
    )
    return [DefaultInfo(files = depset([wheel]))]

python_wheel = rule(
    implementation = _python_wheel_impl,
    doc = "The same bytes for the same inputs, whenever and wherever it is built.",
    attrs = {
        "deps": attr.label_list(
            doc = "Targets whose sources and data, with all that they depend on in this workspace, are packaged.",
            providers = [PyInfo],
        ),
        "distribution": attr.string(
            doc = "Name of the distribution, as in pyproject.",
            mandatory = True,
        ),
        "license": attr.label(
            allow_single_file = True,
            mandatory = True,
        ),
        "pyproject": attr.label(
            allow_single_file = [".toml"],
            doc = "The project's metadata and console scripts.",
            mandatory = True,
        ),
        "readme": attr.label(
            allow_single_file = True,
            mandatory = True,
        ),
        "version": attr.string(
            doc = "As in pyproject: Bazel must know the file's name before the file is read.",
            mandatory = True,
        ),
        "_build_wheel": attr.label(
            cfg = "exec",
            default = "//tools/wheel:build_wheel",
            executable = True,
        ),
    },
)
