"""Which packages are installed; all else is in pyproject.toml."""
from setuptools import find_packages, setup

# Folders of the checkout that are installed inside the package.
INSTALLED = {'mmlpcam.configs': 'configs', 'mmlpcam.tools': 'tools'}

setup(
    packages=find_packages(include=['mmlpcam', 'mmlpcam.*']) + list(INSTALLED),
    package_dir=INSTALLED,
    package_data={
        'mmlpcam': ['py.typed'],
        'mmlpcam.visualization': ['report.html'],
        'mmlpcam.configs': ['**/*.py', '**/*.yaml'],
        'mmlpcam.tools': ['**/*.py', '*.sh'],
    })
