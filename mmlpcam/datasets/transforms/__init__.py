from .loading import LoadPseudoLabel
from .random_canvas import RandomCanvasCrop

__all__ = ['LoadPseudoLabel', 'RandomCanvasCrop']
