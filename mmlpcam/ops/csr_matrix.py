"""Sparse matrices that are multiplied many times."""
import warnings

import torch
from torch import Tensor


def csr_matrix(starts: Tensor, columns: Tensor, values: Tensor,
               num_columns: int) -> Tensor:
    """Make a sparse matrix with indices of 32 bits.

    They make products about twice as fast on the CPU as 64 bits do.

    Args:
        starts (Tensor): Where each row starts in the values, and their
            number: (N + 1, ) of an integer type.
        columns (Tensor): Column of each value, of an integer type.
        values (Tensor): Values, of a floating type.
        num_columns (int): Columns C of the matrix.

    Returns:
        Tensor: Sparse CSR (N, C).
    """
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Sparse CSR tensor support')
        return torch.sparse_csr_tensor(
            starts.int(),
            columns.int(),
            values, (len(starts) - 1, num_columns),
            check_invariants=False)
