"""The page: its structure, and what a browser makes of it."""
import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from mmlpcam.visualization import (HTMLReport, ReportPatch, ReportPhoto,
                                   ReportPrototype)

EVIL = '</script><img src=x onerror="document.title=1">&amp;'


def photo(name, confidence, tags=(0, 2), size=(40, 60)):
    height, width = size
    ramp = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))
    lpcam = np.stack([ramp, .5 * ramp])[:len(tags)]
    truth = np.zeros(size, np.uint8)
    truth[:10] = 3
    truth[10:20] = 255
    return ReportPhoto(
        name,
        tags,
        np.full((*size, 3), 200, np.uint8),
        maps=dict(cam=1 - lpcam, lpcam=lpcam),
        masks={'made before': truth},
        confidence=confidence,
        truth=truth if confidence < .5 else None)


def prototypes():
    patches = [
        ReportPatch(np.full((8, 8, 3), 90, np.uint8), EVIL, .875, True),
        ReportPatch(np.full((8, 8, 3), 10, np.uint8), 'none', -.5, False)
    ]
    return [
        ReportPrototype(1, 'class', 30, .75, .625, True, patches),
        ReportPrototype(1, 'class', 10, .25, .125, False, ()),
        ReportPrototype(1, 'context', None, None, .5, True, patches[:1])
    ]


@pytest.fixture
def page(tmp_path):
    report = HTMLReport(
        title='a <b>run</b>',
        classes=['background', 'cat', EVIL, 'dog'],
        palette=[[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]],
        map_type='lpcam',
        bg_thr=.4,
        tables={
            EVIL: [['what', 'mIoU'], [EVIL, '12.3']],
            'empty': [['no rows']]
        },
        notes=['a note'],
        settings={EVIL: 'lr = 1 < 2'},
        prototypes=prototypes())
    report.add(photo('certain', .9))
    report.add(photo(EVIL, .2))
    report.add(photo('none', 1., tags=()))
    report.write(tmp_path / 'report.html')
    return tmp_path / 'report.html'


class Tags(HTMLParser):
    """Collect the elements of a page, and the text of the data."""

    def __init__(self):
        super().__init__()
        self.found, self.data, self.is_data = [], '', False

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.is_data = dict(attrs).get('id') == 'data'

    def handle_endtag(self, tag):
        self.is_data = False

    def handle_data(self, text):
        if self.is_data:
            self.data += text


def parse(page):
    tags = Tags()
    tags.feed(page.read_text())
    return tags.found, json.loads(tags.data)


def pixels(uri):
    content = base64.b64decode(uri.partition('base64,')[2])
    return np.asarray(Image.open(io.BytesIO(content)))


def test_structure(page):
    found, data = parse(page)
    assert [tag for tag, _ in found].count('script') == 2
    assert 'img' not in [tag for tag, _ in found]
    # nothing comes from elsewhere
    assert not [a for _, a in found if {'src', 'href'} & a.keys()]
    assert 'http' not in re.sub('http-equiv', '', page.read_text())
    assert [p['name'] for p in data['photos']] == [EVIL, 'certain', 'none']
    assert data['kinds'] == [['cam', 'CAM'], ['lpcam', 'LPCAM']]
    assert data['tables'][0] == [EVIL, [['what', 'mIoU'], [EVIL, '12.3']]]
    first = data['photos'][0]
    ramp = np.linspace(0, 255, 60)
    assert np.allclose(pixels(first['maps']['lpcam'][0])[5], ramp, atol=.51)
    (title, mask), = first['layers']
    assert title == 'made before' and mask == first['truth']
    assert pixels(mask)[[0, 15, 30], 0].tolist() == [3, 255, 0]
    assert data['photos'][1]['truth'] is None
    row, dropped, context = data['prototypes']
    assert (row['features'], row['share'], row['kept']) == (30, .75, True)
    assert abs(pixels(row['patches'][0]['image']).astype(int) - 90).max() < 3
    assert not dropped['kept'] and context['features'] is None
    assert pixels(first['photo']).shape == (40, 60, 3)


def test_pictures_are_small(tmp_path):
    rng = np.random.default_rng(0)
    report = HTMLReport('a', ['background', 'b'], [[0] * 3] * 2, 'cam', .3)
    size = (900, 1200)
    report.add(
        ReportPhoto(
            'noise', (0, ),
            rng.integers(0, 255, (*size, 3), np.uint8),
            maps=dict(cam=rng.random((1, *size), np.float32)),
            masks=dict(made=rng.integers(0, 2, size)),
            confidence=0.))
    report.write(tmp_path / 'report.html')
    _, data = parse(tmp_path / 'report.html')
    found, = data['photos']
    assert (found['width'], found['height']) == (320, 240)
    assert pixels(found['maps']['cam'][0]).shape == (96, 128)
    # 80 photos of noise, which nothing can pack, are the worst there is
    assert 80 * (tmp_path / 'report.html').stat().st_size < 20e6


def open_page(path):
    """Return the page after its script has run, as a browser has it."""
    browser = next(
        filter(
            None,
            map(shutil.which,
                ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if browser is None:
        pytest.skip('no Chromium is installed')
    done = subprocess.run([
        browser, '--headless', '--no-sandbox', '--disable-gpu',
        f'--user-data-dir={path.parent / "profile"}',
        '--virtual-time-budget=30000', '--dump-dom',
        path.as_uri()
    ],
                          capture_output=True,
                          text=True,
                          timeout=120,
                          check=True)
    # without the data, which hold the same words
    return re.sub(r'<script.*?</script>', '', done.stdout, flags=re.DOTALL)


def shares(dom):
    return [float(share) for share in re.findall(r'mask: ([\d.]+) %', dom)]


def scores(dom):
    return [float(s) for s in re.findall(r'photo, mIoU ([\d.]+)', dom)]


def test_in_a_browser(page):
    dom = open_page(page)
    # of columns 0 to 59 at x / 59 > 0.4, 36 are foreground
    assert shares(dom) == [60., 60., 0.]
    assert dom.index('&lt;/script&gt;&lt;img') < dom.index('certain')
    assert '<img src=x' not in dom and '<title>a &lt;b&gt;run' in dom
    # 24 of 60 columns are background, truly so in 20 of 30 rows that count:
    # 480 of 1440 pixels; neither the cat nor the missed dog has any
    assert scores(dom) == [11.1] and '>mIoU 11.1, 1 photos' in dom
    # a prototype, a centre that was dropped, one of which little is known
    assert re.findall(r'<tr class="(kept|dropped)">',
                      dom) == ['kept', 'dropped', 'kept']
    assert '30 (75 %)' in dom and 'not known' in dom
    assert re.findall(r'<figcaption>([-\d.]+)',
                      dom) == ['0.88', '-0.50', '0.88']
    assert len(re.findall('<img class="other"', dom)) == 1
    assert len(re.findall('<img', dom)) == 3
    tags = Tags()
    tags.feed(dom)
    assert not any('onerror' in attrs for _, attrs in tags.found)
    assert dom.count('map: cat') == 2 and '<td>12.3</td>' in dom
    assert 'no rows' not in dom


def test_slider_and_maps_change_masks(page):
    move = """<script>
    setTimeout(() => {
      const slider = document.getElementById('threshold');
      slider.value = 0.8;
      slider.dispatchEvent(new Event('input'));
      KIND
    }, 5000);
    </script></body>"""
    text = page.read_text()
    page.write_text(text.replace('</body>', move.replace('KIND', '')))
    dom = open_page(page)
    assert shares(dom) == [20., 20., 0.]
    # background: 48 columns, 960 of 1680 pixels
    assert scores(dom) == [19.]
    page.write_text(
        text.replace(
            '</body>',
            move.replace(
                'KIND', """
      const kind = document.getElementById('kind');
      kind.value = 'cam';
      kind.dispatchEvent(new Event('change'));""")))
    # the second map, 1 - x / 118, is above 0.8 in columns 0 to 23
    dom = open_page(page)
    assert shares(dom) == [40., 40., 0.]
    # background 720 of 1560; column 0 is the cat, the dog has 230 of 1060
    assert scores(dom) == [22.6]


def test_a_run_without_prototypes(page):
    text = page.read_text()
    page.write_text(
        re.sub(r'"prototypes": \[.*?\], "photos"',
               '"prototypes": [], "photos"', text))
    dom = open_page(page)
    assert '<details id="atlas" hidden="">' in dom and '<img' not in dom
