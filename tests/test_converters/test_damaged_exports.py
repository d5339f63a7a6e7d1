"""Damaged files of annotation tools: refused by name, or read as they are."""
import io
import json
import random
import zipfile

import numpy as np
import pytest
from fuzz.mutators import damage, damage_tree
from mmseg.registry import TASK_UTILS
from PIL import Image

from mmlpcam.converters.mask_formats import MASK_FORMATS, NamedMask

CLASSES = ('background', 'cat', 'dog')
NAMES = ('a', 'in/b c')
ROUNDS = 40
CHOICE = dict(
    type='choices', from_name='tags', value=dict(choices=['cat', 'dog']))
TAGS = {
    'LabelStudioLabels': [
        dict(
            data=dict(image=f'{name}.jpg'),
            annotations=[dict(result=[CHOICE], was_cancelled=False)])
        for name in NAMES
    ],
    'MMPretrainJSONLabels':
    dict(
        metainfo=dict(classes=['dog', 'cat']),
        data_list=[
            dict(img_path=f'{name}.jpg', gt_label=[0, 1]) for name in NAMES
        ]),
    'CVATXMLLabels':
    '<annotations>' +
    ''.join(f'<image name="{name}.jpg"><tag label="cat"/></image>'
            for name in NAMES) + '</annotations>'
}


def read(load, path):
    """Return what is read, or None if the file is refused by its name."""
    try:
        return load()
    except (OSError, ValueError) as error:
        assert str(path) in str(error)
        return None


def damaged(rng, content):
    """Damage bytes, a tree of JSON, or a file in an archive."""
    if not isinstance(content, bytes):
        return json.dumps(damage_tree(rng, content)[0]).encode()
    if not content.startswith(b'PK') or rng.random() < .4:
        return damage(rng, content)[0]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(files))
    files[name] = damage(rng, files[name])[0]
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, 'w') as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return buffer.getvalue()


@pytest.mark.parametrize('name', MASK_FORMATS)
def test_masks(name, tmp_path):
    if name == 'coco-rle':
        pytest.importorskip('pycocotools')
    masks = MASK_FORMATS[name](CLASSES, [[0] * 3, [255, 0, 0], [0, 0, 255]])
    path = tmp_path / f'masks{masks.suffix}'
    images, items = {}, []
    for index, image_id in enumerate(NAMES):
        file = tmp_path / f'{index}.png'
        Image.new('RGB', (8, 6)).save(file)
        images[image_id] = str(file)
        mask = np.random.default_rng(index).integers(0, 3, (6, 8), np.uint8)
        items.append(NamedMask(image_id, f'{image_id}.jpg', mask))
    masks.write(items, path)
    content = path.read_bytes()
    if path.suffix == '.json':
        content = json.loads(content)
    if name == 'label-studio':
        for task in content:
            task['annotations'] = task.pop('predictions')
    for seed in range(ROUNDS):
        path.write_bytes(damaged(random.Random(seed), content))
        found = read(lambda: dict(masks.read(path, images)), path) or {}
        assert found.keys() <= set(NAMES)
        for mask in found.values():
            assert mask.ndim == 2 and mask.dtype == np.uint8
            assert mask.max(initial=0) < len(CLASSES)


@pytest.mark.parametrize('name', TAGS)
def test_tags(name, tmp_path):
    content = TAGS[name]
    path = tmp_path / 'tags'
    if isinstance(content, str):
        content, option = content.encode(), 'xml_file'
    else:
        option = 'json_file'
    source = TASK_UTILS.build({'type': name, option: str(path)})
    images = {image_id: f'photos/{image_id}.jpg' for image_id in NAMES}
    for seed in range(ROUNDS):
        path.write_bytes(damaged(random.Random(seed), content))
        found = read(lambda: source.load(images, CLASSES[1:]), path)
        if found is not None:
            assert found.keys() == set(NAMES)
            assert {i for labels in found.values() for i in labels} <= {0, 1}
