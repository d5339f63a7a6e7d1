"""The data set file of voc-animals, against the photos themselves."""
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def test_splits_and_tags(voc_animals, monkeypatch, mmseg_scope):
    monkeypatch.setenv('VOC_ANIMALS', str(voc_animals))
    cfg = Config.fromfile(str(CONFIGS / 'lpcam/deeplabv3_voc-animals.py'))
    stage = Config.fromfile(cfg.stage_configs.classifier)
    score, bank, label = (
        DATASETS.build(dataset)
        for dataset in (stage.test_dataloader.dataset,
                        stage.custom_hooks[-1].dataset,
                        stage.label_dataloader.dataset))
    assert (len(score), len(bank), len(label)) == (437, 437, 3131)
    assert len(DATASETS.build(cfg.val_dataloader.dataset)) == 725
    assert set(score.image_ids) < set(label.image_ids)
    for index in range(0, 437, 60):  # tags say what the mask shows
        mask = score[index]['data_samples'].gt_sem_seg.data
        shown = set(np.unique(mask)) - {0, 255}
        tags = score.get_data_info(index)['img_labels']
        assert {label + 1 for label in tags} == shown
