# ruff: noqa: C408 (configs are written as dict(...))
"""Photos of all kinds, read as they are meant to be seen."""
import cv2
import mmcv
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image, ImageOps

import mmlpcam.datasets  # noqa: F401 (registers LoadPhoto)
from mmlpcam.utils.photos import photo_size, read_photo, write_picture

RNG = np.random.default_rng(0)
COLORS = RNG.integers(0, 256, (6, 9, 3)).astype(np.uint8)  # RGB
SUFFIXES = ('.bmp', '.jpg', '.png', '.tif', '.webp')


@pytest.mark.parametrize('suffix', SUFFIXES)
@pytest.mark.parametrize('mode', ['RGB', 'L', 'P', 'RGBA', 'LA', 'CMYK', '1'])
def test_eight_bits_are_as_mmcv_reads_them(tmp_path, suffix, mode):
    path = tmp_path / f'a{suffix}'
    try:
        Image.fromarray(COLORS).convert(mode).save(path)
    except OSError:
        pytest.skip('there is no such file')
    photo = read_photo(path)
    assert photo.shape == (6, 9, 3) and photo.dtype == np.uint8
    assert photo_size(path) == (9, 6)
    np.testing.assert_array_equal(photo, mmcv.imread(path))


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tif', '.webp'])
@pytest.mark.parametrize('turn', range(1, 9))
def test_orientation(tmp_path, suffix, turn):
    path = tmp_path / f'a{suffix}'
    exif = Image.Exif()
    exif[0x0112] = turn
    smooth = np.linspace(0, 255, 40 * 56).reshape(40, 56).astype(np.uint8)
    options = dict(lossless=True) if suffix == '.webp' else {}
    Image.fromarray(smooth).convert('RGB').save(
        path, exif=exif.tobytes() if suffix == '.webp' else exif, **options)
    with Image.open(path) as image:
        image.load()
        expected = np.asarray(ImageOps.exif_transpose(image))[..., ::-1]
    photo = read_photo(path)
    assert photo.shape == ((40, 56, 3) if turn < 5 else (56, 40, 3))
    assert photo_size(path) == photo.shape[1::-1]
    assert abs(photo.astype(int) - expected).max() <= 2


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('channels', [1, 3, 4])
@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
def test_sixteen_bits_are_scaled(tmp_path, suffix, channels, bits):
    path = str(tmp_path / f'a{suffix}')
    top = (1 << bits) - 1
    values = RNG.integers(0, top + 1, (6, 9, channels)).astype(np.uint16)
    values[0, 0] = top
    assert cv2.imwrite(path, values)
    photo = read_photo(path)
    assert photo.dtype == np.uint8 and photo_size(path) == (9, 6)
    expected = values[..., :3] * (255 / top)
    assert abs(photo - expected).max() <= .5 + 1e-9


def test_real_numbers_are_refused(tmp_path):
    path = tmp_path / 'a.tif'
    Image.fromarray(RNG.random((3, 4)).astype(np.float32)).save(path)
    for read in (read_photo, photo_size):
        with pytest.raises(
                ValueError, match=r'a\.tif is no valid photo .*real numbers'):
            read(path)


def test_what_cannot_be_scaled_is_refused(tmp_path):
    path = tmp_path / 'a.tif'
    Image.fromarray(np.zeros((3, 4), np.int32)).save(path)
    with pytest.raises(ValueError, match=r'a\.tif is no valid photo .*mode I'):
        read_photo(path)


def load(path):
    return TRANSFORMS.build(dict(type='LoadPhoto'))(dict(img_path=str(path)))


@pytest.mark.parametrize('suffix', SUFFIXES)
@pytest.mark.parametrize('share', [0, .2, .6, .95])
def test_cut_photos_are_named(tmp_path, suffix, share):
    path = tmp_path / f'a{suffix}'
    noise = RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    for read in (read_photo, load):
        with pytest.raises(ValueError, match=f'a{suffix} is no valid photo'):
            read(path)


def test_load_photo(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(COLORS).save(path)
    results = load(path)
    np.testing.assert_array_equal(results['img'], COLORS[..., ::-1])
    assert results['img_shape'] == results['ori_shape'] == (6, 9)
    with pytest.raises(FileNotFoundError, match='none.png'):
        load(tmp_path / 'none.png')
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        load(tmp_path)


def test_pictures_are_whole(tmp_path):
    write_picture(tmp_path / 'new' / 'a.png', COLORS)
    np.testing.assert_array_equal(
        read_photo(tmp_path / 'new' / 'a.png')[..., ::-1], COLORS)
    assert len([*(tmp_path / 'new').iterdir()]) == 1
