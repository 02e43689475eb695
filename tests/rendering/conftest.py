"""What several tests of the kernels share."""

import pytest


@pytest.fixture
def assert_compiles_to_ptx(tmp_path):
    """A check: `assert_compiles_to_ptx(kernels, name, arch)`, where `kernels(real)` holds the kernel of that name."""

    from dr_kfs.rendering._warp_runtime import quiet_warp  # not above: type checks are installed after this file

    def check(kernels, name, arch):
        with quiet_warp() as warp:
            kernel = getattr(kernels(warp.float32), name)
            try:
                warp.compile_aot_module(kernel.module, arch=arch, module_dir=tmp_path, use_ptx=True)
            except RuntimeError as error:
                if "CUDA" in str(error) and "not built" in str(error):
                    pytest.skip(f"this Warp has no CUDA compiler: {error}")
                raise
        assert any(b".entry" in path.read_bytes() for path in tmp_path.rglob("*.ptx"))

    return check
