"""Which pictures a run sends to servers such as TensorBoard."""
import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmengine.visualization import BaseVisBackend
from mmseg.registry import VISBACKENDS
from mmseg.structures import SegDataSample

from mmlpcam.visualization.stage_pictures_hook import draw_sample


@VISBACKENDS.register_module()
class Server(BaseVisBackend):
    """Keeps what it is sent."""
    pictures: dict = {}

    def _init_env(self):
        pass

    @property
    def experiment(self):
        return self

    def add_image(self, name, image, step=0, **kwargs):
        assert name not in self.pictures
        self.pictures[name] = image, step


@pytest.fixture
def runner(tiny, voc_mini, tmp_path, monkeypatch):
    """Make runners for the six photos."""
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    Server.pictures.clear()

    def make(backend, *, train=False, validate=False):
        loader = dict(
            batch_size=1,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=voc_mini.dataset(with_masks=True))
        metric = dict(type='CAMIoUMetric')
        options = dict(
            test_dataloader=loader, test_evaluator=metric, test_cfg={})
        if train:
            photos = voc_mini.dataset()
            photos['dataset']['pipeline'].insert(
                1, dict(type='Resize', scale=(48, 48)))
            options = dict(
                train_dataloader=dict(loader, batch_size=2, dataset=photos),
                train_cfg=dict(by_epoch=True, max_epochs=2),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)))
        if validate:
            options.update(
                val_dataloader=loader, val_evaluator=metric, val_cfg={})
        return Runner.from_cfg(
            dict(
                model=tiny.cfg(map_type='cam'),
                work_dir=str(tmp_path),
                experiment_name=f'{backend}_{len(list(tmp_path.iterdir()))}',
                default_scope='mmseg',
                log_level='ERROR',
                randomness=dict(seed=0),
                test_pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadAnnotations'),
                    dict(type='PackSegInputs')
                ],
                visualizer=dict(
                    type='SegLocalVisualizer',
                    name=str(tmp_path),
                    vis_backends=[dict(type=backend)]),
                default_hooks=dict(
                    checkpoint=None,
                    visualization=dict(type='StagePicturesHook',
                                       num_images=2)),
                **options))

    return make


def test_a_few_pictures_of_a_test(runner):
    runner('Server').test()
    # the first photo and the last one
    assert [*Server.pictures] == ['test_0_2007_000001', 'test_5_2008_000006']
    picture, step = Server.pictures['test_0_2007_000001']
    # photo, CAM, mask and truth, with 4 pixels between, 320 wide each
    assert picture.shape[1] == 4 * 320 + 3 * 4 and picture.dtype == np.uint8
    assert step == 0


def test_none_for_local_files(runner, tmp_path):
    runner('LocalVisBackend').test()
    assert not Server.pictures and not list(tmp_path.rglob('test_*.png'))


def test_after_a_training(runner):
    runner('Server', train=True).train()
    assert [*Server.pictures] == ['train_0_2007_000001', 'train_5_2008_000006']
    picture, step = Server.pictures['train_5_2008_000006']
    assert step == 6 and picture.shape[1] == 3 * 320 + 2 * 4  # no truth


def test_validations_take_the_place(runner, monkeypatch):
    sent = []
    monkeypatch.setattr(
        Server,
        'add_image',
        lambda self, name, image, step=0: sent.append((name, step)))
    runner('Server', train=True, validate=True).train()
    assert sent == [('val_0_2007_000001', 3), ('val_5_2008_000006', 3),
                    ('val_0_2007_000001', 6), ('val_5_2008_000006', 6)]


def test_pictures_of_a_sample():
    photo = np.full((16, 16, 3), 100, np.uint8)
    sample = SegDataSample(metainfo=dict(img_labels=(0, )))
    mask = torch.zeros(1, 16, 16, dtype=torch.int64)
    mask[:, :8] = 1
    sample.pred_sem_seg = PixelData(data=mask)
    names, colors = ['background', 'cat'], [[0, 0, 0], [200, 0, 0]]

    def columns():
        picture = draw_sample(photo, sample, names, colors)
        return [
            picture[26 + y, x] for x in range(160, picture.shape[1], 324)
            for y in (80, 240)
        ]

    # photo, then 0.35 of it and 0.65 of the colour above 0.6 of it
    assert np.array(columns()).tolist() == [[100] * 3, [100] * 3,
                                            [165, 35, 35], [60] * 3]
    # maps of no class are left out, and truth of another size
    sample.activation = PixelData(cam=torch.zeros(0, 16, 16))
    sample.gt_sem_seg = PixelData(data=torch.zeros(1, 8, 8))
    assert len(columns()) == 4
    sample.activation = PixelData(cam=torch.ones(2, 16, 16))
    sample.gt_sem_seg = PixelData(data=mask)
    blue_to_red = columns()[2]
    assert len(columns()) == 8 and blue_to_red[0] > blue_to_red[2]
