"""The reader of masks; that of MMSegmentation is the other opinion."""
import numpy as np
import pytest
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from mmlpcam.utils.masks import read_index_mask, write_index_mask

VALUES = np.random.default_rng(0).integers(0, 3, (5, 7)).astype(np.uint8)
VALUES[0, :3] = 0, 2, 255


def by_mmseg(path):
    results = dict(
        seg_map_path=str(path),
        seg_fields=[],
        reduce_zero_label=False,
        label_map=None)
    return LoadAnnotations()(results)['gt_seg_map']


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.bmp'])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int32, np.float32])
def test_what_is_certain_is_converted(tmp_path, suffix, dtype):
    path = tmp_path / f'a{suffix}'
    if (suffix == '.png' and dtype().itemsize == 4) or (suffix == '.bmp'
                                                        and dtype != np.uint8):
        pytest.skip('there is no such file')
    Image.fromarray(VALUES.astype(dtype)).save(path)
    mask = read_index_mask(path)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, VALUES)
    np.testing.assert_array_equal(by_mmseg(path), VALUES)


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_one_bit_and_palettes(tmp_path, bits):
    values = VALUES % min(1 << bits, 3)
    image = Image.fromarray(values).convert('P')
    image.putpalette([9, 8, 7, 200, 0, 0, 0, 200, 0])
    image.save(tmp_path / 'p.png', bits=bits)
    paths = [tmp_path / 'p.png']
    if bits == 1:
        Image.fromarray(values > 0).save(tmp_path / '1.png')
        paths.append(tmp_path / '1.png')
    for path in paths:
        np.testing.assert_array_equal(read_index_mask(path), values)
        np.testing.assert_array_equal(by_mmseg(path), values)


def gray_png(bits):
    """Return a PNG of 2 x 1 pixels 0 and 1, grey of a few bits."""
    import struct
    import zlib

    def chunk(kind, content):
        return (struct.pack('>I', len(content)) + kind + content +
                struct.pack('>I', zlib.crc32(kind + content)))

    header = struct.pack('>IIBBBBB', 2, 1, bits, 0, 0, 0, 0)
    row = bytes([0, 1 << (8 - 2 * bits)])
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) +
            chunk(b'IDAT', zlib.compress(row)) + chunk(b'IEND', b''))


@pytest.mark.parametrize('bits', [2, 4])
def test_stretched_gray_is_refused(tmp_path, bits):
    path = tmp_path / 'a.png'
    path.write_bytes(gray_png(bits))
    assert by_mmseg(path).tolist() == [0, 255 // ((1 << bits) - 1)]
    with pytest.raises(ValueError, match=r'a\.png is no .*stretched'):
        read_index_mask(path)


def saved(image, path, **kwargs):
    image.save(path, **kwargs)
    return path


def wrong_masks(folder):
    gray = Image.fromarray(VALUES)
    exif = Image.Exif()
    exif[0x0112] = 6
    real = VALUES.astype(np.float32)
    real[1, 1] = .5
    nan = VALUES.astype(np.float32)
    nan[1, 1] = np.nan
    wide = VALUES.astype(np.uint16)
    wide[1, 1] = 256
    negative = VALUES.astype(np.int32)
    negative[1, 1] = -1
    yield 'RGB', saved(gray.convert('RGB'), folder / 'rgb.png')
    yield 'RGBA', saved(gray.convert('RGBA'), folder / 'rgba.png')
    yield 'LA', saved(gray.convert('LA'), folder / 'la.png')
    yield '2 images', saved(
        gray, folder / 'pages.tif', save_all=True, append_images=[gray])
    yield '2 images', saved(
        gray,
        folder / 'moving.png',
        save_all=True,
        append_images=[Image.fromarray(VALUES + 1)])
    yield 'JPEG', saved(gray, folder / 'lossy.jpg')
    yield 'EXIF', saved(gray, folder / 'turned.png', exif=exif)
    yield 'whole', saved(Image.fromarray(real), folder / 'real.tif')
    yield 'nan', saved(Image.fromarray(nan), folder / 'nan.tif')
    yield '0 to 256', saved(Image.fromarray(wide), folder / 'wide.png')
    yield 'from -1', saved(Image.fromarray(negative), folder / 'negative.tif')


def test_the_rest_is_refused_by_name(tmp_path):
    for text, path in wrong_masks(tmp_path):
        with pytest.raises(
                ValueError, match=f'{path.name} is no valid index.*{text}'):
            read_index_mask(path)


@pytest.mark.parametrize('share', [0, .1, .5, .9])
def test_cut_masks_are_named(tmp_path, share):
    path = tmp_path / 'a.png'
    noise = np.random.default_rng(0).integers(0, 9, (64, 64))
    write_index_mask(path, noise)
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(ValueError, match=r'a\.png is no valid index mask'):
        read_index_mask(path)


def test_masks_hold_8_bits(tmp_path):
    with pytest.raises(ValueError, match=r'a\.png: .* from 0 to 256 .*many'):
        write_index_mask(tmp_path / 'a.png', np.array([[0, 256]]))
    assert not [*tmp_path.iterdir()]
    write_index_mask(tmp_path / 'a.png', np.array([[0, 255]]))
    assert read_index_mask(tmp_path / 'a.png').tolist() == [[0, 255]]
