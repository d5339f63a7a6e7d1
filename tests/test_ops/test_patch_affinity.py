import torch

from mmlpcam.ops import refine_with_affinity


def test_full_precision_under_autocast():
    torch.manual_seed(0)
    maps, affinity = torch.rand(1, 2, 2, 2), torch.rand(1, 4, 4)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = refine_with_affinity(maps, affinity)
    assert torch.equal(found, refine_with_affinity(maps, affinity))
