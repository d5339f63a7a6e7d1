"""A label source: tags in a text file beside each photo, one a line."""
from pathlib import Path

from mmseg.registry import TASK_UTILS

from mmlpcam.datasets import ImageLabelSource, TagEncoder, check_all_labeled
from mmlpcam.utils import reading


@TASK_UTILS.register_module()
class SidecarLabels(ImageLabelSource):

    def load(self, images, classes):
        encoder = TagEncoder(classes)
        labels = {}
        for image_id, path in images.items():
            file = Path(path).with_suffix('.txt')
            if file.is_file():
                with reading(file, 'list of tags in UTF-8'):
                    tags = file.read_text(encoding='utf-8').splitlines()
                labels[image_id] = encoder.encode(tags, str(file))
        check_all_labeled(labels, images, 'the text files beside the photos',
                          'Expected <photo>.txt for each')
        return labels
