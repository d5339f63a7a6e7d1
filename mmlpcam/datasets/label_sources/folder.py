from collections.abc import Mapping, Sequence

from mmseg.registry import TASK_UTILS

from .base import ImageLabelSource, Labels
from .image_finder import check_all_labeled
from .tag_encoder import TagEncoder


@TASK_UTILS.register_module()
class FolderLabels(ImageLabelSource):
    """Labels from a folder per class: ``<img_path>/<class name>/photo.jpg``.

    Each image has the one class that its first folder names.
    """

    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        check_all_labeled(
            {i
             for i in images if '/' in i}, images, 'a class folder',
            'FolderLabels expects <image folder>/<class name>/<image>: is '
            "data_prefix['img_path'] the folder above the class folders?")
        encoder = TagEncoder(classes)
        return {
            image_id:
            encoder.encode([image_id.split('/', 1)[0]],
                           f'FolderLabels, image {image_id!r}')
            for image_id in images
        }
