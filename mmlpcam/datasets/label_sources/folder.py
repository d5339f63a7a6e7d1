from mmseg.registry import TASK_UTILS

from .base import ImageIndex, ImageLabelSource, Labeller, Labels, check_known


@TASK_UTILS.register_module()
class FolderLabels(ImageLabelSource):
    """Labels from a folder per class: ``<img_path>/<class name>/photo.jpg``.

    Each image has the one class that its first folder names.
    """

    def load(self, image_ids: list[str], classes: tuple[str, ...]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        labeller = Labeller(classes)
        check_known(
            [i for i in image_ids if '/' not in i], ImageIndex(image_ids),
            'a class folder',
            'FolderLabels expects <image folder>/<class name>/<image>: is '
            "data_prefix['img_path'] the folder above the class folders?")
        return {
            image_id:
            labeller([image_id.split('/', 1)[0]],
                     f'FolderLabels, image {image_id!r}')
            for image_id in image_ids
        }
