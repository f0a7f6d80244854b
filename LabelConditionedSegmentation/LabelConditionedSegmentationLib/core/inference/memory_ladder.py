"""The out-of-memory ladder: what is made smaller, in which order, when a device runs out of memory.

Every rung gives the same result. Every scan starts from the top, since another one may be smaller, or memory free
again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from ..errors import DeviceError
from .scoring import DEFAULT_CHUNK

T = TypeVar("T")

SMALLEST_CHUNK = 16


@dataclass(frozen=True)
class MemoryPlan:
    """How a run spends memory. device: where the trunk runs. batch: windows at once. chunk: classes a product.
    accumulate_on: where features are gathered.
    """

    device: torch.device
    batch: int
    chunk: int
    accumulate_on: torch.device

    @staticmethod
    def first(device: torch.device) -> MemoryPlan:
        """The plan to try first: a few windows at once where a GPU profits from it."""
        return MemoryPlan(device, 1 if device.type == "cpu" else 2, DEFAULT_CHUNK, device)

    def lower(self) -> tuple[MemoryPlan, str] | None:
        """The next smaller plan and what it changes; None where nothing is left to make smaller."""
        if self.batch > 1:
            batch = self.batch // 2
            return replace(self, batch=batch), f"window batch {batch}"
        if self.chunk > SMALLEST_CHUNK:
            chunk = max(SMALLEST_CHUNK, self.chunk // 4)
            return replace(self, chunk=chunk), f"label chunk {chunk}"
        cpu = torch.device("cpu")
        if self.accumulate_on.type != "cpu":
            return replace(self, accumulate_on=cpu), "features gathered in main memory"
        if self.device.type != "cpu":
            return replace(self, device=cpu), "network on the CPU"
        return None


def down_the_ladder(plan: MemoryPlan, take: Callable[[MemoryPlan, str], None], run: Callable[[], T]) -> T:
    """Run; where memory runs out, take the next rung below `plan` and run again. Raises DeviceError where none is left.

    take: gets the new plan, and what it changes as a text.
    """
    while True:
        try:
            return run()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            lower = plan.lower()
        if lower is None:
            raise DeviceError(
                "The memory of this machine is not enough for this scan; crop it, or use a machine with more memory."
            )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        plan = lower[0]
        take(*lower)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error really says that memory ran out, on a GPU or in main memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and (
        "not enough memory" in str(error) or "can't allocate memory" in str(error) or "out of memory" in str(error)
    )


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken on a device; 0 where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) * 2**10


def peak_memory_mb(device: torch.device) -> dict[str, float]:
    """Peak memory so far in MiB: of this process, and of the GPU where there is one.

    Empty where the system does not say.
    """
    out: dict[str, float] = {}
    if sys.platform != "win32":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        out["process"] = peak / 2**20 if sys.platform == "darwin" else peak / 2**10
    if device.type == "cuda":
        out["gpu"] = torch.cuda.max_memory_allocated(device) / 2**20
    return out
