"""An outcome with all that can be in one."""

from torchstash.tools.bench.environment import Environment
from torchstash.tools.bench.outcome import Figure, Outcome, Section
from torchstash.tools.bench.result import Case, Result

SMALL, LARGE = Case("64 B", 64), Case("1 GiB", 1 << 30)
BATCH = Case("10 x 4 KiB", 40960, operations=10)
MISSING = "No module named 'peer': pip install peer"

ENVIRONMENT = Environment(
    cpu="A CPU",
    cores=2,
    load=0.5,
    system="Linux",
    devices={"cuda": "A GPU"},
    versions={"torch": "2.13.0"},
)


def outcome() -> Outcome:
    return Outcome(
        benchmark="hash",
        environment=ENVIRONMENT,
        sections=[
            Section(
                "One storage",
                "call",
                [
                    Result("ours", "cpu", SMALL, (1e-6, 2e-6, 9e-6), calls_per_sample=1000),
                    Result("peer", "cpu", SMALL, problem=MISSING),
                    Result("memory", "cpu", SMALL, (1e-6,), is_ceiling=True),
                    Result("ours", "cpu", LARGE, (0.25,), calls_per_sample=1),
                    Result("peer", "cpu", LARGE, problem=MISSING),
                    Result("memory", "cpu", LARGE, (0.05,), is_ceiling=True),
                    Result("ours", "cuda", LARGE, (0.001,), calls_per_sample=10),
                ],
            ),
            Section("Many storages", "storage", [Result("ours", "cpu", BATCH, (1e-3,))]),
        ],
        figures=[
            Figure("fast", 120.0, at_least=100),
            Figure("slow", 7.0, "us", at_most=5),
            Figure("free", 0.5),
        ],
    )
