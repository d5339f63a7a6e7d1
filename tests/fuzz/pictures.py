"""Photos and masks: whole, unusual and damaged."""
import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

from mmlpcam import config_path
from mmlpcam.datasets import (MaskLabels, PhotoFolderDataset,
                              PseudoLabelDataset, SegDatasetWrapper,
                              check_files)
from .core import Case, Room, fuzzed
from .labels import DAMAGED
from .mutators import cut, damage, double, empty, flip_bit, null_tail, text

SIDE = 24
CLASSES = ('background', 'cat', 'dog', 'bird')


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def is_whole_png(data: bytes) -> bool:
    """Whether all chunks and checksums of a PNG are as they should be."""
    if data[:8] != b'\x89PNG\r\n\x1a\n':
        return False
    place, pixels, kind = 8, b'', b''
    while kind != b'IEND':
        head = data[place:place + 8]
        if len(head) < 8:
            return False
        length, kind = struct.unpack('>I4s', head)
        body = data[place + 8:place + 8 + length]
        check = data[place + 8 + length:place + 12 + length]
        if check != struct.pack('>I', zlib.crc32(kind + body)):
            return False
        pixels += body if kind == b'IDAT' else b''
        place += 12 + length
    try:
        return bool(zlib.decompress(pixels))
    except zlib.error:
        return False


def decoded(data: bytes, mode: str | None = None) -> Any:
    """The pixels of a file, read strictly, or DAMAGED."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format == 'PNG' and not is_whole_png(data):
                return DAMAGED
            return np.array(image.convert(mode) if mode else image)
    except Exception:  # any is a verdict here
        return DAMAGED


def _pipeline(name: str) -> list[dict]:
    """The transforms of a shipped config that load, whatever they are."""
    cfg = Config.fromfile(config_path('_base_/photos/classifier_small.py'))
    return [
        dict(step) for step in cfg[name]
        if 'Resize' not in step['type'] and 'Pack' not in step['type']
    ] + [dict(type='PackSegInputs')]


# --- photos ------------------------------------------------------------------


def _gradient(channels: int = 3) -> np.ndarray:
    """Smooth, so that JPEG keeps it, and unlike in each channel."""
    y, x = np.mgrid[:SIDE, :SIDE + 8]
    planes = [(x * 6 + y * c * 2 + 20 * c) % 256 for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8)


def _png16(channels: int) -> tuple[bytes, np.ndarray]:
    """A 16-bit PNG with values over its range, and its 8-bit image."""
    wide = _gradient(channels).astype(np.uint16) * 257
    wide = np.clip(wide.astype(int) + 77, 0, 65535).astype(np.uint16)
    height, width = wide.shape[:2]
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in wide)
    color = {1: 0, 3: 2}[channels]
    data = b'\x89PNG\r\n\x1a\n'
    for kind, body in ((b'IHDR',
                        struct.pack('>2I5B', width, height, 16, color, 0, 0,
                                    0)), (b'IDAT', zlib.compress(rows)),
                       (b'IEND', b'')):
        data += struct.pack('>I', len(body)) + kind + body + struct.pack(
            '>I', zlib.crc32(kind + body))
    return data, np.broadcast_to(wide / 257, (height, width, 3))


def _unusual_photo(rng: random.Random) -> tuple[bytes, Any, str]:
    """A file of an unusual kind, its pixels (None: any), and the kind."""
    rgb = _gradient()
    image = Image.fromarray(rgb)
    what = rng.choice(('png', 'webp', 'bmp', 'tiff', 'grey', 'alpha', 'cmyk',
                       'palette', 'bilevel', 'gif', 'png16', 'rgb16', 'tiny',
                       'float', 'exif', 'progressive', 'bomb', 'grey alpha'))
    gray = np.array(image.convert('L'))
    if what in ('png', 'bmp', 'tiff'):
        return encode(image, what), rgb, what
    if what == 'webp':
        return encode(image, 'webp', lossless=True), rgb, what
    if what == 'grey':
        return encode(image.convert('L'),
                      'png'), gray[..., None].repeat(3, -1), what
    if what in ('alpha', 'grey alpha'):
        image = image.convert('LA' if what[0] == 'g' else 'RGB')
        image.putalpha(255)
        plain = gray[..., None].repeat(3, -1) if what[0] == 'g' else rgb
        return encode(image, 'png'), plain, what
    if what in ('png16', 'rgb16'):
        return *_png16(1 if what[0] == 'p' else 3), what
    if what == 'palette':
        image = image.quantize(64)
        return encode(image, 'png'), np.array(image.convert('RGB')), what
    if what == 'bilevel':
        image = image.convert('1')
        return encode(image, 'png'), np.array(image.convert('RGB')), what
    if what == 'exif':
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = np.array(Image.fromarray(rgb).rotate(-90, expand=True))
        return encode(image, 'png', exif=exif), turned, what
    if what == 'float':
        wide = Image.fromarray(gray.astype(np.float32) / 255)
        return encode(wide, 'tiff'), gray[..., None].repeat(3, -1), what
    if what == 'tiny':
        return encode(image.crop((0, 0, 1, 1)), 'png'), rgb[:1, :1], what
    if what == 'bomb':
        small = encode(image, 'png')
        head = struct.pack('>4s2I', b'IHDR', 60000, 60000) + small[24:29]
        return (small[:12] + head + struct.pack('>I', zlib.crc32(head)) +
                small[33:]), DAMAGED, what
    if what == 'cmyk':
        return encode(image.convert('CMYK'), 'jpeg', quality=95), None, what
    options = dict(progressive=True) if what == 'progressive' else {}
    kind = 'gif' if what == 'gif' else 'jpeg'
    return encode(image, kind, **options), None, what


@fuzzed('photos', 260, 12)
def make_photo(room: Room) -> Case:
    rng = room.rng
    shape = (*_gradient().shape[:2], 3)
    kind = rng.choice(('plain', 'unusual', 'unusual', 'unusual', 'damage',
                       'damage', 'damage', 'damage'))
    story, tolerance, names = [kind], 1.5, ['photo2']
    if kind == 'unusual':
        data, pixels, what = _unusual_photo(rng)
        suffix = rng.choice(('.jpg', '.png'))
        story += [what, suffix]
    else:
        suffix = rng.choice(('.png', '.png', '.jpg'))
        pixels = _gradient()
        data = encode(
            Image.fromarray(pixels), 'png' if suffix == '.png' else 'jpeg')
        whole = decoded(data, 'RGB')
        if suffix == '.jpg':
            pixels = None  # decoders differ
        if kind == 'damage':
            data, what = damage(rng, data)
            story += [suffix, what]
            found = decoded(data, 'RGB')
            # a JPEG has no checksum
            pixels = found if found is DAMAGED or suffix == '.png' else None
            if pixels is not DAMAGED:
                shape = found.shape
    room.write(f'photos/photo2{suffix}', data)
    for name in ('photo1', 'photo3'):
        room.write(f'photos/{name}.png',
                   encode(Image.fromarray(_gradient()), 'png'))
    if pixels is None:
        result = [lambda got: np.asarray(got).shape == shape]
    else:
        result = allowed_pixels(pixels)
    if kind == 'damage':  # the bytes did not matter
        result.append(whole)
        tolerance = 1.5 if suffix == '.png' else 4

    def read():
        photos = SegDatasetWrapper(
            PhotoFolderDataset(
                dict(img_path=str(room.folder / 'photos')),
                metainfo=dict(classes=CLASSES),
                test_mode=True,
                pipeline=_pipeline('test_pipeline')))
        check_files(photos)
        sample = photos[photos.image_ids.index('photo2')]
        # BGR, as MMSegmentation loads it
        return sample['inputs'].numpy()[::-1].transpose(1, 2, 0)

    return Case(
        read, names, result, kind == 'plain', story, tolerance=tolerance)


def allowed_pixels(pixels: Any) -> list:
    return [] if pixels is DAMAGED else [np.asarray(pixels)]


# --- masks -------------------------------------------------------------------


def _mask(rng: random.Random) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE + 8), np.uint8)
    for value in range(1, len(CLASSES)):
        top, left = rng.randrange(SIDE - 8), rng.randrange(SIDE)
        mask[top:top + 8, left:left + 8] = value
    if rng.random() < .5:
        mask[-2:] = 255
    return mask


def _palette_image(mask: np.ndarray) -> Image.Image:
    image = Image.fromarray(mask).convert('P')
    image.putpalette([(i * 53) % 256 for i in range(768)])
    return image


def _unusual_mask(rng: random.Random, mask: np.ndarray) -> tuple:
    """A file, its meaning, and the kind."""
    what = rng.choice(
        ('palette', 'grey', '16 bit', '32 bit', 'float', 'one bit', 'two bits',
         'color', 'alpha', 'palette alpha', 'gif', 'bmp', 'tiff', 'jpeg',
         'value', '16 bit value', 'size', 'turned', 'fraction', 'negative',
         'nan', 'nothing', 'all ignored', 'color', 'grey color'))
    ids = mask.astype(int)
    if what == 'palette':
        return encode(_palette_image(mask), 'png'), mask, what
    if what in ('grey', 'bmp', 'tiff', 'gif'):
        kind = 'png' if what == 'grey' else what
        image = Image.fromarray(mask)
        if what == 'gif':
            image = _palette_image(mask)
        return encode(image, kind), mask, what
    if what in ('16 bit', '16 bit value'):
        wide = mask.astype(np.uint16)
        if what == '16 bit value':
            wide[4, 4] = rng.choice((256, 258, 4096, 65535, 512))
        image = Image.fromarray(wide)
        return encode(image, 'png'), DAMAGED if ' v' in what else mask, what
    if what == '32 bit':
        return encode(Image.fromarray(ids.astype(np.int32)),
                      'tiff'), mask, what
    if what in ('float', 'fraction', 'negative', 'nan'):
        wide = ids.astype(np.float32)
        if what != 'float':
            wide[3, 3] = dict(fraction=.5, negative=-1, nan=np.nan)[what]
        return encode(Image.fromarray(wide),
                      'tiff'), mask if what == 'float' else DAMAGED, what
    if what == 'one bit':
        return encode(Image.fromarray(mask == 1),
                      'png'), (mask == 1).astype(np.uint8), what
    if what == 'two bits':
        mask = mask % 4
        return encode(_palette_image(mask), 'png', bits=2), mask, what
    if what == 'color':
        return encode(_palette_image(mask).convert('RGB'),
                      'png'), DAMAGED, what
    if what == 'grey color':
        image = Image.fromarray(mask[..., None].repeat(3, -1))
        return encode(image, 'png'), (DAMAGED, mask), what
    if what == 'alpha':
        image = Image.fromarray(mask)
        image.putalpha(Image.fromarray((mask > 0).astype(np.uint8) * 255))
        return encode(image, 'png'), (DAMAGED, mask), what
    if what == 'palette alpha':
        return encode(_palette_image(mask), 'png', transparency=0), mask, what
    if what == 'jpeg':
        return encode(Image.fromarray(mask), 'jpeg', quality=50), DAMAGED, what
    if what == 'value':
        mask = mask.copy()
        mask[5, 5] = rng.choice((len(CLASSES), 254, 128, 200))
        return encode(Image.fromarray(mask), 'png'), DAMAGED, what
    if what == 'size':
        return encode(Image.fromarray(mask[:-1]), 'png'), DAMAGED, what
    if what == 'turned':
        return encode(Image.fromarray(mask.T), 'png'), DAMAGED, what
    value = 255 if what == 'all ignored' else 0
    mask = np.full_like(mask, value)
    return encode(Image.fromarray(mask), 'png'), mask, what


def _read_masks(room: Room, reader: str) -> Any:
    """Read the mask of photo2 through one of three ways."""
    photos, masks = room.folder / 'photos', str(room.folder / 'masks')
    pipeline = _pipeline('score_pipeline')
    if reader == 'labels':
        return MaskLabels(masks).load(
            {f'photo{n}': str(photos / f'photo{n}.jpg')
             for n in (1, 2, 3)}, CLASSES[1:])['photo2']
    options = dict(
        metainfo=dict(classes=CLASSES), test_mode=True, pipeline=pipeline)
    if reader == 'pseudo labels':
        dataset: Any = PseudoLabelDataset(
            PhotoFolderDataset(dict(img_path=str(photos)), **options), masks)
    else:
        dataset = SegDatasetWrapper(
            PhotoFolderDataset(
                dict(img_path=str(photos), seg_map_path=masks), **options))
    check_files(dataset)
    found = [dataset[i]['data_samples'].gt_sem_seg.data[0] for i in range(3)]
    return found[dataset.image_ids.index('photo2')].numpy()


@fuzzed('masks', 340, 18)
def make_mask(room: Room) -> Case:
    rng = room.rng
    reader = rng.choice(('labels', 'pseudo labels', 'true masks'))
    kind = rng.choice(('plain', 'unusual', 'unusual', 'unusual', 'unusual',
                       'bytes', 'bytes', 'bytes', 'black and white'))
    mask, story = _mask(rng), [reader, kind]
    data, meaning = encode(_palette_image(mask), 'png'), mask
    others = data
    if kind == 'unusual':
        data, meaning, what = _unusual_mask(rng, mask)
        if reader == 'labels' and what in ('size', 'turned'):
            meaning = mask  # this reader has no photos to compare with
        story.append(what)
    elif kind == 'bytes':
        mutate = rng.choice(
            (cut, flip_bit, flip_bit, double, empty, null_tail, text))
        data, what = mutate(rng, data), mutate.__name__
        found = decoded(data)
        meaning = mask if found is DAMAGED or data == others else found
        meaning = (DAMAGED, meaning)
        story.append(what)
    elif kind == 'black and white':
        # all of them: 255 is the object, and there is one value too few
        mask = np.where(mask == 1, 255, 0).astype(np.uint8)
        data = others = encode(Image.fromarray(mask), 'png')
        meaning = DAMAGED
    for name in ('photo1', 'photo2', 'photo3'):
        room.write(f'photos/{name}.jpg',
                   encode(Image.fromarray(_gradient()), 'jpeg'))
        room.write(f'masks/{name}.png', data if name == 'photo2' else others)
    meanings = meaning if isinstance(meaning, tuple) else (meaning, )
    result = []
    for each in meanings:
        if each is DAMAGED:
            continue
        if reader == 'labels':
            each = tuple(int(v) - 1 for v in np.unique(each) if v % 255)
        result.append(each)
    names = ['photo2', 'masks'] if kind[0] == 'b' else ['photo2.png']
    return Case(
        lambda: _read_masks(room, reader),
        names,
        result,
        kind == 'plain',
        story,
        warned='255' if kind == 'black and white' else '')


@fuzzed('index-masks', 80, 6)
def make_index_mask(room: Room) -> Case:
    """The reader of masks that other parts of the package share."""
    from mmlpcam.utils.masks import read_index_mask
    rng = room.rng
    mask = _mask(rng)
    data, what = encode(_palette_image(mask), 'png'), 'plain'
    result = [mask]
    if rng.random() < .9:
        data, what = damage(rng, data)
        found = decoded(data)
        result += [] if found is DAMAGED else [found]
    path = Path(room.write('mask.png', data))
    return Case(lambda: read_index_mask(path), ['mask.png'], result,
                what == 'plain', [what])
