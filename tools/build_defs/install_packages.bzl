"""The repositories of the single packages, and of protoc, which is one of them."""

load("@torchstash_pypi//:requirements.bzl", install_cpu = "install_deps")
load("@torchstash_pypi_cuda//:requirements.bzl", install_cuda = "install_deps")
load("@torchstash_pypi_xpu//:requirements.bzl", install_xpu = "install_deps")
load("//tools/build_defs:protoc_from_wheel.bzl", "protoc_from_wheel")

def torchstash_install_packages():
    """Declares what the locks hold. Last step, after `torchstash_packages`."""
    install_cpu()
    install_cuda()
    install_xpu()
    protoc_from_wheel(
        name = "com_google_protobuf",
        wheel = "@torchstash_pypi_grpcio_tools//:BUILD.bazel",
    )
