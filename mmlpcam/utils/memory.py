"""Memory that nothing uses any more."""
import ctypes
import gc

import torch


def release_memory() -> None:
    """Give memory that nothing uses back to the system.

    The C library keeps freed blocks for the process: a gigabyte and more
    after prototypes or maps, which the next stage has little use for, and
    which processes that are forked from it copy bit by bit. Where it is not
    glibc, it is left to itself.
    """
    gc.collect()
    torch.cuda.empty_cache()  # does nothing without a GPU
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another system
        return
    trim(0)
