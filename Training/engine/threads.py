"""How many threads a program uses."""

from __future__ import annotations

import os

import SimpleITK as sitk
import torch


def use_threads(count: int | None) -> None:
    """For networks and for registration; None leaves both at as many as there are cores.

    SystemExit with a sentence where that is impossible.
    """
    if count is None:
        return
    if count < 1:
        raise SystemExit("At least one thread is needed.")
    torch.set_num_threads(count)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(count)  # ANTs has an ITK of its own
