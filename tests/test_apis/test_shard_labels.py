"""Shards of photos in, shards of labels out."""
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from mmengine.config import Config

from mmlpcam.apis import LPCAMInferencer, ShardCounts, ShardLabeler
from mmlpcam.converters.photo_shards import unpack_labels, write_photo_shards
from mmlpcam.utils import write_checkpoint

PIPELINE = [dict(type='LoadPhoto'), dict(type='PackSegInputs')]


class Job:
    """Photos in three shards of two, and a model."""

    def __init__(self, tiny, voc_mini, folder):
        self.tiny, self.voc_mini, self.folder = tiny, voc_mini, folder
        self.photos = {
            name: str(voc_mini.root / f'JPEGImages/{name}.jpg')
            for name in voc_mini.image_ids
        }
        self.tags = {
            name: list(dict.fromkeys(objects))
            for name, objects in voc_mini.labels.items()
        }
        self.shards = [str(path) for path in self.write('photos')]

    def write(self, folder, **kwargs):
        return write_photo_shards(
            self.photos,
            self.tags,
            self.folder / folder,
            per_shard=2,
            **kwargs)

    def inferencer(self, seed=0, **test_cfg):
        model = self.tiny.build(seed=seed, with_bank=True)
        meta = dict(dataset_meta=self.voc_mini.metainfo)
        path = self.folder / 'model.pth'
        write_checkpoint(dict(state_dict=model.state_dict(), meta=meta), path)
        test_cfg = {'bg_thr': .5, **test_cfg}
        cfg = Config(
            dict(model=self.tiny.cfg(**test_cfg), test_pipeline=PIPELINE))
        return LPCAMInferencer(cfg, path, 'cpu')

    def label(self, out='out', inferencer=None, **kwargs):
        return ShardLabeler(inferencer or self.inferencer(),
                            str(self.folder / out), **kwargs).run(self.shards)

    def content(self, out='out'):
        return {
            path.name: path.read_bytes()
            for path in (self.folder / out).iterdir()
        }


@pytest.fixture
def job(tiny, voc_mini, tmp_path):
    return Job(tiny, voc_mini, tmp_path)


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.suffix in ('.png', '.npz', '.jpg')
    }


def test_labels_are_those_of_the_photos_in_a_folder(job):
    inferencer = job.inferencer()
    inferencer(
        job.voc_mini.root / 'JPEGImages',
        tags=job.tags,
        out_dir=job.folder / 'folder')
    assert job.label(
        inferencer=inferencer, save_maps=True) == ShardCounts(3, 0, 6)
    shards = [f'{job.folder}/out/photos-00000{i}.tar' for i in range(3)]
    with tarfile.open(shards[1]) as tar:
        assert tar.getnames() == [
            f'{name}.{suffix}' for name in job.voc_mini.image_ids[2:4]
            for suffix in ('png', 'npz')
        ]
    unpacked = job.folder / 'unpacked'
    for _ in range(2):  # equal files are kept
        counts = unpack_labels(shards, unpacked)
        assert counts == dict(png=6, npz=6)
    expected = files(job.folder / 'folder')
    assert files(unpacked) == {
        name: content
        for name, content in expected.items() if not name.endswith('.jpg')
    }
    manifest = json.loads((unpacked / 'manifest.json').read_text())
    assert manifest['complete'] and manifest['num_masks'] == 6
    assert manifest['classes'] == list(job.tiny.classes)
    name = job.voc_mini.image_ids[0]
    (unpacked / f'masks/{name}.png').write_bytes(b'another')
    with pytest.raises(FileExistsError, match=f'{name}.png is there already'):
        unpack_labels(shards, unpacked)


def test_batches_make_no_difference_to_masks(job):
    job.label()
    job.label('other', batch_size=2)
    assert job.content('other') == job.content()


def test_only_missing_shards_are_made(job):
    job.label()
    before = job.content()
    out = job.folder / 'out'
    path = out / 'photos-000001.tar'
    path.write_bytes(path.read_bytes()[:1700])  # cut
    (out / '.tmp-killed.tar').write_text('half')
    kept = out / 'photos-000000.tar'
    time = kept.stat().st_mtime_ns
    assert job.label() == ShardCounts(1, 2, 2)
    assert job.content() == before and kept.stat().st_mtime_ns == time


def test_other_settings_are_refused(job):
    job.label()
    before = job.content()
    for changed, kwargs in (('model', dict(inferencer=job.inferencer(seed=1))),
                            ('test_cfg',
                             dict(inferencer=job.inferencer(bg_thr=.4))),
                            ('save_maps', dict(save_maps=True))):
        with pytest.raises(RuntimeError, match=rf'settings \({changed}\)'):
            job.label(**kwargs)
    (job.folder / 'out/manifest.json').write_text('{}')
    with pytest.raises(ValueError, match='no valid manifest of labels'):
        job.label()
    assert job.content() == {**before, 'manifest.json': b'{}'}
    with pytest.raises(ValueError, match='photos holds the photos'):
        job.label('photos')
    with pytest.raises(ValueError, match='batch_size must be at least 1'):
        job.label(batch_size=0)


def spoil(job):
    """Cut the third photo, in the second shard."""
    name = job.voc_mini.image_ids[2]
    job.photos[name] = job.folder / 'cut.jpg'
    job.photos[name].write_bytes(
        (job.voc_mini.root / f'JPEGImages/{name}.jpg').read_bytes()[:700])
    shutil.rmtree(job.folder / 'photos')
    job.write('photos')
    return name


def test_a_bad_photo_costs_its_shard(job):
    name = spoil(job)
    found = job.label()
    assert (found.written, found.masks) == (2, 4)
    assert found.failed.keys() == {job.shards[1]}
    assert f'{job.shards[1]}, member {name}.jpg is no valid photo' in (
        found.failed[job.shards[1]])
    assert len(job.content()) == 3  # with the manifest
    found = job.label(skip_bad=True)
    assert found == ShardCounts(1, 2, 1, 1)
    with tarfile.open(job.folder / 'out/photos-000001.tar') as tar:
        assert tar.getnames() == [
            f'{name}.error', f'{job.voc_mini.image_ids[3]}.png'
        ]
        text = tar.extractfile(f'{name}.error').read().decode()
    assert f'member {name}.jpg is no valid photo' in text


def test_shards_that_are_there_are_not_replaced(job):
    before = job.content('photos')
    with pytest.raises(FileExistsError, match='3 shards, such as'):
        job.write('photos')
    del job.photos[job.voc_mini.image_ids[5]]
    job.write('photos', overwrite=True)
    after = job.content('photos')
    assert after.keys() == before.keys()
    assert [name for name in after
            if after[name] != before[name]] == ['photos-000002.tar']
    for name in ('a/v1.5', '__meta__/a'):  # which would not be read
        with pytest.raises(ValueError, match=f"in their names: '{name}'"):
            write_photo_shards({name: 'a.jpg'}, None, job.folder / 'photos')
    spoil_photo(job)
    with pytest.raises(ValueError, match='bad.jpg is no valid photo'):
        job.write('photos', overwrite=True)
    assert job.content('photos') == after


def spoil_photo(job):
    path = job.folder / 'bad.jpg'
    path.write_bytes(b'no photo')
    job.photos['bad'], job.tags['bad'] = str(path), []


def test_shards_of_another_name_stay(job):
    """Those of "photos-val" begin like those of "photos"."""
    job.write('photos', name='photos-val')
    job.write('photos', overwrite=True)
    assert len(job.content('photos')) == 6
    job.write('photos', name='val/photos')
    assert len([*(job.folder / 'photos/val').iterdir()]) == 3
    with pytest.raises(ValueError, match='no name inside of'):
        job.write('photos', name='../photos')


def test_photos_changed_after_their_labels(job, capsys):
    job.label()
    os.utime(job.shards[1], ns=(2**62, 2**62))
    assert job.label().present == 3
    found = capsys.readouterr()
    assert (found.out + found.err).count('has changed since') == 1
    assert f'{job.shards[1]} has changed since' in found.out + found.err


def test_a_shard_that_cannot_be_opened_ends_nothing(job):
    path = Path(job.shards[1])
    path.unlink()
    path.mkdir()
    found = job.label()
    assert (found.written, [*found.failed]) == (2, [str(path)])


def test_labels_of_two_models_do_not_mix(job):
    """Also if they are of different photos."""
    job.label()
    job.label('other', job.inferencer(seed=1))
    out = job.folder / 'unpacked'
    unpack_labels([str(job.folder / 'out/photos-000000.tar')], out)
    with pytest.raises(RuntimeError, match='other settings'):
        unpack_labels([str(job.folder / 'other/photos-000001.tar')], out)
    unpack_labels([str(job.folder / 'out/photos-000001.tar')], out)
    assert json.loads((out / 'manifest.json').read_text())['num_masks'] == 4


def test_unpacking_that_was_stopped_is_not_complete(job):
    """And what is there does not mix with labels of another model."""
    job.label()
    job.label('other', job.inferencer(seed=1))
    cut = job.folder / 'out/photos-000001.tar'
    whole = cut.read_bytes()
    cut.write_bytes(whole[:700])
    shards = [f'{job.folder}/out/photos-00000{i}.tar' for i in range(3)]
    out = job.folder / 'unpacked'

    def is_complete():
        return json.loads((out / 'manifest.json').read_text())['complete']

    with pytest.raises(ValueError, match='photos-000001.tar is no valid'):
        unpack_labels(shards, out)
    assert not is_complete() and files(out)
    with pytest.raises(RuntimeError, match='other settings'):
        unpack_labels([str(job.folder / 'other/photos-000002.tar')], out)
    cut.write_bytes(whole)
    unpack_labels(shards, out)
    assert is_complete() and len(files(out)) == 6
    # more of them
    cut.write_bytes(whole[:700])
    with pytest.raises(ValueError, match='photos-000001.tar is no valid'):
        unpack_labels(shards, out)
    assert not is_complete()


def test_two_runs_do_not_mix_their_shards(job):
    """The quicker one keeps its own."""
    before = job.content('photos')
    shutil.rmtree(job.folder / 'photos')

    def slow(results):
        yield from results[0]
        job.write('photos')

    with pytest.raises(FileExistsError, match='3 shards, such as'):
        write_photo_shards(
            job.photos,
            job.tags,
            job.folder / 'photos',
            per_shard=1,
            track=slow)
    assert job.content('photos') == before
