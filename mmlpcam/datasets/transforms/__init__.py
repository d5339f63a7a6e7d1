from .loading import LoadPhoto, LoadPseudoLabel
from .random_canvas import RandomCanvasCrop

__all__ = ['LoadPhoto', 'LoadPseudoLabel', 'RandomCanvasCrop']
