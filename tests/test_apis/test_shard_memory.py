"""Memory of a process that labels shards does not grow with the photos.

MMLPCAM_MANY_PHOTOS sets the larger number.
"""
import io
import os
import resource
import shutil
from multiprocessing import get_context
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from mmlpcam.apis import Prediction, ShardCounts, ShardLabeler
from mmlpcam.datasets import write_shard

FEW = 10_000
MANY = int(os.environ.get('MMLPCAM_MANY_PHOTOS', 100_000))
PER_SHARD = 1000


def background(photos, tags, batch_size):
    """Predict nothing, in no time."""
    for photo in photos:
        mask = torch.zeros(1, *photo.source.shape[:2], dtype=torch.int64)
        yield Prediction(
            photo, sample=SegDataSample(pred_sem_seg=PixelData(data=mask)))


def run(tiny, folder, number, queue):
    """Write and label shards; tell the peak of the memory in KiB."""
    model = tiny.build()
    inferencer = SimpleNamespace(
        digest='of no weights',
        model=model,
        classes=tiny.classes,
        palette=[[40 * i, 0, 0] for i in range(len(tiny.classes))],
        cfg=SimpleNamespace(test_pipeline=[]),
        makes_maps=True,
        stream=background)
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, 'PNG')
    shards = []
    for start in range(0, number, PER_SHARD):
        shards.append(str(folder / f'photos/{start // PER_SHARD:06d}.tar'))
        write_shard(shards[-1],
                    ((f'{key:012d}.{suffix}', content)
                     for key in range(start, start + PER_SHARD)
                     for suffix, content in (('png', file.getvalue()),
                                             ('json', b'["cat"]'))))
    found = ShardLabeler(inferencer, str(folder / 'labels')).run(shards)
    assert found == ShardCounts(written=len(shards), masks=number)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


@pytest.mark.slow
def test_memory_does_not_grow(tiny, tmp_path):
    fork = get_context('fork')
    peaks = []
    for number in (FEW, MANY):
        queue = fork.Queue()
        process = fork.Process(
            target=run, args=(tiny, tmp_path / str(number), number, queue))
        process.start()
        process.join()
        assert process.exitcode == 0
        peaks.append(queue.get())
        shutil.rmtree(tmp_path / str(number))
    print(f'peak of {FEW} and {MANY} photos: {peaks} KiB')
    assert peaks[1] < 1.1 * peaks[0]
