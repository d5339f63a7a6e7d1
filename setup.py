"""Installation; the settings of tools are in pyproject.toml."""
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
# Folders of the checkout that are installed inside the package.
INSTALLED = {'mmlpcam.configs': 'configs', 'mmlpcam.tools': 'tools'}


def requirements(name: str) -> list[str]:
    """Read one file of requirements/ without comments."""
    lines = (HERE / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


version: dict = {}
exec((HERE / 'mmlpcam' / 'version.py').read_text(), version)

setup(
    name='mmlpcam',
    version=version['__version__'],
    description='Semantic segmentation from image-level labels with LPCAM, '
    'for MMSegmentation',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['mmlpcam', 'mmlpcam.*']) + list(INSTALLED),
    package_dir=INSTALLED,
    package_data={
        'mmlpcam': ['py.typed'],
        'mmlpcam.configs': ['**/*.py'],
        'mmlpcam.tools': ['**/*.py', '*.sh'],
    },
    install_requires=requirements('runtime'),
    extras_require=dict(
        coco=requirements('coco'),
        crf=requirements('crf'),
        tests=requirements('tests')),
    classifiers=[
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ])
