"""Sphinx builds the site from the whole checkout, whose pages link freely."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(__file__)))

from mmcv.transforms.utils import cache_randomness  # noqa: E402

from mmlpcam import __version__  # noqa: E402

# this decorator of mmcv raises where it is looked up in a class, as Napoleon
# does
_get = cache_randomness.__get__
cache_randomness.__get__ = (
    lambda self, instance, owner: self
    if instance is None else _get(self, instance, owner))

project = 'mmlpcam'
author = 'the authors of mmlpcam'
release = __version__
extensions = [
    'myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.autosummary',
    'sphinx.ext.napoleon', 'sphinx.ext.viewcode'
]
root_doc = 'docs/index'
include_patterns = [
    'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/**',
    'examples/my_project/README.md'
]
exclude_patterns = ['docs/_build']
html_theme = 'furo'
html_title = f'mmlpcam {release}'
# headings are link targets by their GitHub names
myst_heading_anchors = 3
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # the docstrings have types, shapes and ranges
autosummary_generate = False
napoleon_numpy_docstring = False
# attributes are written as such in the docstring of their class
napoleon_use_ivar = True
