"""What the compiler makes of the hashing kernels, which decides how fast they are on a GPU."""

from collections import Counter

import pytest

from torchstash.tools.bench import kernel_code

LISTING = """\
.L_x_0:
        /*0000*/                   IADD3 R1, R1, 0x1, RZ ;
        /*0010*/              @!P0 BRA `(.L_x_1) ;
.L_x_2:
        /*0020*/                   SHF.L.W.U32.HI R4, R4, 0x10, R4 ;
        /*0030*/                   LOP3.LUT R5, R5, R4, RZ, 0x3c, !PT ;
        /*0040*/              @!UP1 LOP3.LUT R6, R6, R4, RZ, 0x3c, !PT ;
        /*0050*/               @P1 BRA `(.L_x_2) ;
.L_x_1:
        /*0060*/                   EXIT ;
.L_x_3:
        /*0070*/                   BRA `(.L_x_3);
"""


def test_the_longest_loop_is_counted() -> None:
    loop = kernel_code.longest_loop(LISTING.splitlines())
    assert loop == Counter({"LOP3": 2, "SHF": 1, "BRA": 1})
    assert kernel_code.longest_loop(["        /*0060*/                   EXIT ;"]) == Counter()


def test_prediction() -> None:
    """64 lanes of the integer unit and 128 of all a clock: the scarcer one counts."""
    loop = Counter({"LOP3": 50, "SHF": 50, "IMAD": 28})
    integer, starts = kernel_code.predicted_gb_per_second(loop, multiprocessors=100, clock_ghz=1.0)
    assert integer == pytest.approx(64 * 64 * 100 / 100)
    assert starts == pytest.approx(64 * 128 * 100 / 128)


def test_a_block_of_the_chunk_kernel() -> None:
    """Its message comes in loads of 128 bits, and its state stays in registers."""
    (kernel,) = [kernel for kernel in kernel_code.KERNELS if kernel.name == "chunk_values"]
    lines = kernel_code.disassembled(kernel_code.compiled(kernel, 90))
    loop = kernel_code.longest_loop(lines)
    assert sum("LDG.E.128" in line for line in lines) == 4
    assert loop["LDG"] == 4
    assert not {"LDL", "STL", "LDS", "STS", "SHFL", "BAR"} & loop.keys()
    assert loop.total() < 800


def test_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert kernel_code.main(kernel_code.parse(["kernel_code"])) == 0
    printed = capsys.readouterr().out
    for kernel in kernel_code.KERNELS:
        assert kernel.name in printed
    assert "A block of 64 bytes takes" in printed
