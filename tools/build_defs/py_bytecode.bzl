"""Bytecode of a wheel's modules, beside them at run time.

Wheels are unpacked without bytecode, and a sandboxed test cannot keep what it compiles: each
would compile torch anew, for many times as long as importing it takes.
"""

_TAG = "cpython-311"

def _py_bytecode_impl(ctx):
    outputs = []
    arguments = ctx.actions.args()
    arguments.set_param_file_format("multiline")
    arguments.use_param_file("@%s", use_always = True)
    root = ctx.label.workspace_root + "/"
    for source in ctx.files.srcs:
        folder, _, name = source.path.removeprefix(root).rpartition("/")
        output = ctx.actions.declare_file("{}/__pycache__/{}.{}.pyc".format(folder, name.removesuffix(".py"), _TAG))
        outputs.append(output)
        arguments.add(source)
        arguments.add(output)
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._compile,
        inputs = ctx.files.srcs,
        mnemonic = "PyBytecode",
        outputs = outputs,
        progress_message = "Compiling Python of %{label}",
    )
    return [DefaultInfo(
        files = depset(outputs),
        runfiles = ctx.runfiles(files = outputs),
    )]

py_bytecode = rule(
    implementation = _py_bytecode_impl,
    attrs = {
        "srcs": attr.label_list(
            allow_files = [".py"],
            doc = "Modules at or below this package.",
        ),
        "_compile": attr.label(
            cfg = "exec",
            default = "//tools/build_defs:compile_bytecode",
            executable = True,
        ),
    },
)
