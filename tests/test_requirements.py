"""The version gate."""
import mmcv
import mmengine
import mmseg
import pytest

from mmlpcam.requirements import check_requirements


def test_installed_versions_pass():
    check_requirements()


@pytest.mark.parametrize('module, version', [
    (mmengine, '0.7.0'),
    (mmcv, '1.7.2'),
    (mmcv, '3.0.0'),
    (mmseg, '0.30.0'),
    (mmseg, '2.0.0rc1'),
])
def test_other_versions_are_named(monkeypatch, module, version):
    monkeypatch.setattr(module, '__version__', version)
    with pytest.raises(
            ImportError,
            match=rf'needs .*>= .*but {version} is installed.*pip install'):
        check_requirements()


@pytest.mark.parametrize('version', ['0.10.4', '0.10.12', '0.11.0+local'])
def test_versions_in_range_pass(monkeypatch, version):
    monkeypatch.setattr(mmengine, '__version__', version)
    check_requirements()
