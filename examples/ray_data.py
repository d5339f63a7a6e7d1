"""Masks of a folder of photos with Ray Data.

    pip install "ray[data]"
    python examples/ray_data.py my_project/segmentor.py \
        runs/first/segmentor photos masks --workers 8 --gpus 1

Each worker loads the model once and takes a CPU; keep one free, which reads
photos, or nothing moves. `masks` gets Parquet files with path, height,
width and the mask of each photo, rows of class indices one after the other
(uint8). Unlike tools/label_shards.py, Ray makes all of it again after a stop.
"""
import argparse

import numpy as np

from mmlpcam.apis import LPCAMInferencer


class Masks:
    """What `map_batches` calls; it is built once in each worker."""

    def __init__(self, config, checkpoint):
        self.inferencer = LPCAMInferencer(config, checkpoint)

    def __call__(self, batch):
        """Replace `image`, arrays (H, W, 3) in RGB, by the masks."""
        photos = [
            np.ascontiguousarray(image[..., ::-1]) for image in batch['image']
        ]
        results = self.inferencer(photos, batch_size=len(photos))
        if results['failed']:
            raise RuntimeError(f'no masks of {results["failed"]}')
        masks = results['predictions']
        return dict(
            path=batch['path'],
            height=np.array([len(mask) for mask in masks]),
            width=np.array([mask.shape[1] for mask in masks]),
            mask=np.array([mask.tobytes() for mask in masks], dtype=object))


def main():
    import ray

    parser = argparse.ArgumentParser()
    for name in ('config', 'checkpoint', 'photos', 'out'):
        parser.add_argument(name)
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('--gpus', type=float, default=0, help='per worker')
    args = parser.parse_args()
    photos = ray.data.read_images(args.photos, mode='RGB', include_paths=True)
    photos.map_batches(
        Masks,
        fn_constructor_args=(args.config, args.checkpoint),
        batch_size=16,
        concurrency=args.workers,
        num_gpus=args.gpus).write_parquet(args.out)


if __name__ == '__main__':
    main()
