"""Every protobuf rule that this workspace uses. proto_library and ProtoInfo are Bazel's own, to 7.x."""

load("@rules_python//python:defs.bzl", "PyInfo")

def proto_library(*, name, import_prefix = "torchstash", **kwargs):
    """A schema, imported as `torchstash/<path in this workspace>` in every language."""
    native.proto_library(
        name = name,
        import_prefix = import_prefix,
        strip_import_prefix = "/",
        **kwargs
    )

def _import_path(proto_info, source):
    return source.path.removeprefix(proto_info.proto_source_root).removeprefix("/")

def _py_proto_library_impl(ctx):
    proto_info = ctx.attr.proto[ProtoInfo]
    modules = []
    stubs = []
    arguments = ctx.actions.args()
    arguments.add_all(
        proto_info.transitive_proto_path,
        format_each = "--proto_path=%s",
    )
    for source in proto_info.direct_sources:
        stem = source.basename.removesuffix(".proto")
        module = ctx.actions.declare_file(stem + "_pb2.py")
        stub = ctx.actions.declare_file(stem + "_pb2.pyi")
        modules.append(module)
        stubs.append(stub)
        arguments.add("--generate")
        arguments.add_all([_import_path(proto_info, source), module, stub])
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._generate,
        inputs = proto_info.transitive_sources,
        mnemonic = "PyProto",
        outputs = modules + stubs,
    )
    deps = ctx.attr.deps + [ctx.attr._runtime]
    infos = [dep[PyInfo] for dep in deps]
    return [
        DefaultInfo(
            files = depset(modules),
            runfiles = ctx.runfiles(files = modules + stubs).merge_all([
                dep[DefaultInfo].default_runfiles
                for dep in deps
            ]),
        ),
        PyInfo(
            imports = depset(transitive = [info.imports for info in infos]),
            transitive_sources = depset(modules, transitive = [info.transitive_sources for info in infos]),
        ),
        OutputGroupInfo(stubs = depset(stubs)),
    ]

py_proto_library = rule(
    implementation = _py_proto_library_impl,
    doc = "Python code and type stubs of a proto_library whose sources lie in this package.",
    attrs = {
        "deps": attr.label_list(
            doc = "The py_proto_library of each schema that the sources import.",
            providers = [PyInfo],
        ),
        "proto": attr.label(
            doc = "The schema.",
            mandatory = True,
            providers = [ProtoInfo],
        ),
        "_generate": attr.label(
            cfg = "exec",
            default = "//tools/build_defs:generate_proto_python",
            executable = True,
        ),
        "_runtime": attr.label(default = "//tools/deps:protobuf"),
    },
    provides = [PyInfo],
)

def _proto_descriptor_set_impl(ctx):
    proto_info = ctx.attr.proto[ProtoInfo]
    descriptor_set = ctx.actions.declare_file(ctx.label.name + ".binpb")
    arguments = ctx.actions.args()
    arguments.add_all(proto_info.transitive_proto_path, format_each = "--proto_path=%s")
    arguments.add("--include_imports")
    arguments.add("--include_source_info")
    arguments.add(descriptor_set, format = "--descriptor_set_out=%s")
    arguments.add_all([_import_path(proto_info, source) for source in proto_info.direct_sources])
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._protoc,
        inputs = proto_info.transitive_sources,
        mnemonic = "ProtoDescriptorSet",
        outputs = [descriptor_set],
    )
    return [DefaultInfo(files = depset([descriptor_set]))]

proto_descriptor_set = rule(
    implementation = _proto_descriptor_set_impl,
    doc = "One FileDescriptorSet of a schema and everything that it imports, comments included.",
    attrs = {
        "proto": attr.label(
            doc = "The schema.",
            mandatory = True,
            providers = [ProtoInfo],
        ),
        "_protoc": attr.label(
            cfg = "exec",
            default = "@com_google_protobuf//:protoc",
            executable = True,
        ),
    },
)
