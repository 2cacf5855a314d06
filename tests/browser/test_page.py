"""The page of nets as people use it: in a Chromium without a window, from a file."""

import re

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFilter

from cifar_keras import data, inspection, models, play

LOGITS = """
const [name, images, done] = arguments;
(async () => {
  const answers = [];
  for (const image of images) answers.push(await window.nets.predict(name, Uint8Array.from(image)));
  return answers.map((logits) => Array.from(logits));
})().then(done);
"""
# Once a picture that was handed over is decoded, and every net has answered the last change.
SETTLED = """
const done = arguments[0];
(function wait() {
  const busy = !state.pixels || document.getElementById("input").ariaBusy === "true" ||
    Object.values(workers).some((net) => net.busy);
  if (busy) setTimeout(wait, 50); else done();
})();
"""
EXPLAINED = """
const done = arguments[0];
(function wait() {
  if (document.querySelector("#numbers td")) done(); else setTimeout(wait, 50);
})();
"""
ANSWERS = (  # without the time that they took
    "return [...document.querySelectorAll('.net')]"
    ".map((card) => card.textContent.replace(/\\d+ ms/, ''))"
)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A net of the reader's own, and the page that shows it."""
    folder = tmp_path_factory.mktemp("page with a net")
    models.build_average_pooling(initialization="keras").save(folder / "mine.keras")
    play.write_page(folder / "play.html", [folder / "mine.keras"])
    return folder


@pytest.fixture
def page(browser, own):
    browser.get((own / "play.html").as_uri())
    browser.execute_async_script(SETTLED)
    return browser


def answers(page):
    page.execute_async_script(SETTLED)
    return page.execute_script(ANSWERS)


def give(page, path):
    """Hands a file over; returns the pixels that the nets get, and the message."""
    page.find_element("id", "file").send_keys(str(path))
    answers(page)
    pixels = page.execute_script("return Array.from(state.pixels)")
    return np.reshape(pixels, (32, 32, 3)), page.find_element("id", "message").text


def move(page, name, value):
    page.execute_script(
        "const input = document.getElementById(arguments[0]); input.value = arguments[1];"
        "input.dispatchEvent(new Event('input'))",
        name,
        value,
    )


# --- What it computes -----------------------------------------------------------------------------


@pytest.mark.parametrize("one", play.RECORDED, ids=lambda one: one.variant)
def test_it_computes_what_keras_computes(page, one):
    images, _ = data.load_sample()[1]
    model, method = play.load_net(one)
    x = data.normalize(images[:100], method)
    classes = model.predict(x, verbose=0).argmax(axis=1)
    play.round_weights(model)
    expected = model.predict(x, verbose=0)
    flat = images[:100].reshape(100, -1).tolist()
    ours = np.array(page.execute_async_script(LOGITS, one.variant, flat))
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    assert (ours.argmax(axis=1) == classes).sum() >= 99


def test_it_asks_no_host_and_complains_of_nothing(page, heard):
    answers(page)
    asked, complaints = heard(page)
    assert complaints == []
    assert asked and all(address.startswith(("file:", "blob:", "data:")) for address in asked)


def test_a_net_of_ones_own_stands_beside_the_others(page):
    titles = [card.text for card in page.find_elements("css selector", ".net h3")]
    assert titles[-1] == "mine" and len(titles) == 5
    assert re.search(r"\(-?\d+\.\d\): from", answers(page)[-1])


def test_memory_of_the_page_does_not_grow_with_the_images(page):
    pixels = [np.random.default_rng(i).integers(0, 256, 3072).tolist() for i in range(50)]
    sizes = []
    for _ in range(4):
        page.execute_async_script(LOGITS, "compact", pixels)
        page.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        used = page.execute_cdp_cmd("Runtime.getHeapUsage", {})
        sizes.append(used["usedSize"] + used.get("backingStorageSize", 0))
    assert sizes[-1] - sizes[0] < 2_000_000  # bytes


# --- Pictures of one's own ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photograph():
    """Something like one: smooth, with edges and colours; 640 x 480."""
    random = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    large = Image.fromarray(random).resize((640, 480), Image.Resampling.BICUBIC)
    return large.filter(ImageFilter.GaussianBlur(2))


def same_as_the_package(pixels, path):
    return np.abs(pixels - inspection.load_picture(path)[0].astype(int)).max() <= 2


def test_a_photograph_is_turned_as_it_says(page, photograph, tmp_path):
    path, exif = tmp_path / "turned.jpg", Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    photograph.save(path, quality=95, exif=exif)
    pixels, message = give(page, path)
    assert message == "" and same_as_the_package(pixels, path)
    straight = tmp_path / "straight.jpg"
    photograph.save(straight, quality=95)
    assert not same_as_the_package(pixels, straight)


def test_transparency_is_on_white(page, photograph, tmp_path):
    path = tmp_path / "transparent.png"
    picture = photograph.convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    picture.save(path)
    pixels, _ = give(page, path)
    assert same_as_the_package(pixels, path) and pixels[0].min() > 200


def test_a_large_photograph_is_shrunk(page, photograph, tmp_path):
    path = tmp_path / "large.jpg"
    photograph.resize((4000, 3000)).save(path, quality=92)
    # Decoded whole, as the page does it. From a path the package has the decoder shrink it, which
    # moves single values of this picture by 4.
    with Image.open(path) as whole:
        whole.load()
        assert same_as_the_package(give(page, path)[0], whole)


def test_a_tiny_picture_is_enlarged(page, photograph, tmp_path):
    path = tmp_path / "tiny.png"
    photograph.resize((21, 13)).save(path)
    assert same_as_the_package(give(page, path)[0], path)


def test_what_is_no_picture_is_refused_in_a_line(page, tmp_path):
    path = tmp_path / "text.png"
    path.write_text("no picture")
    before = page.execute_script("return Array.from(state.pixels)")
    pixels, message = give(page, path)
    assert message == "text.png is no picture that this browser can read; save it as PNG or JPEG"
    assert pixels.ravel().tolist() == before


# --- What one can do ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("shift", 6), ("rotation", 45), ("blur", 2), ("noise", 60), ("brightness", 90)],
)
def test_each_slider_moves_the_answers(page, name, value):
    before = answers(page)
    move(page, name, value)
    after = answers(page)
    of_trained = list(zip(before, after, strict=True))[:-1]  # the own net's answers hardly differ
    assert len(of_trained) == 4 and all(one != other for one, other in of_trained)
    page.find_element("id", "reset").click()
    shares = "return [...document.querySelectorAll('.bars')].map((bars) => bars.textContent)"
    answers(page)
    settled = page.execute_script(shares)
    page.refresh()
    answers(page)
    assert page.execute_script(shares) == settled


def test_the_temperature_makes_answers_less_sure(page):
    widest = (
        "return Math.max(...[...document.querySelectorAll('.net:nth-child(3) .bar')]"
        ".map((bar) => parseFloat(bar.style.width)))"
    )
    before = page.execute_script(widest)
    move(page, "temperature", 4)
    answers(page)
    assert page.execute_script(widest) < before


def test_dropout_scatters_the_answers_of_the_net_that_has_it(page):
    logits = (
        "const [name, done] = arguments; const net = workers[name];"
        "const asked = state.pixels;"
        "const one = () => net.send('ask', {asked, dropout: true, off: {}, layer: null});"
        "Promise.all([one(), one()]).then((two) => done(two.map(({logits}) => logits)))"
    )
    one, other = page.execute_async_script(logits, "average_pooling_dropout")
    assert one != other
    one, other = page.execute_async_script(logits, "average_pooling")
    assert one == other


def test_channels_are_switched_off_by_a_click_and_on_by_another(page):
    note = "return document.querySelector('.net').textContent.replace(/\\d+ ms/, '')"
    click = "for (const map of [...document.querySelectorAll('.map')].slice(0, 8)) map.click()"
    answers(page)
    before = page.execute_script(note)
    for pressed in ("true", "false"):
        page.execute_script(click)
        answers(page)
        assert (page.execute_script(note) == before) == (pressed == "false")
        eighth = page.find_element("css selector", ".map:nth-child(8)")
        assert eighth.get_attribute("aria-pressed") == pressed


def test_a_number_is_explained_by_its_patch_and_its_kernel(page):
    page.execute_script("document.querySelector('.map:nth-child(2)').focus()")
    page.execute_async_script(EXPLAINED)
    text = page.find_element("id", "numbers").text
    assert "Feature map 2, row 17, column 17" in text and "3 channels" in text
    assert len(page.find_elements("css selector", "#numbers td")) == 18


# --- For everybody --------------------------------------------------------------------------------


def test_a_phone_need_not_scroll_sideways(page):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        answers(page)
        assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_answers_are_said_once_they_stand_still(page):
    page.execute_async_script("setTimeout(arguments[0], 1500)")
    said = page.find_element("id", "spoken").get_attribute("textContent")
    assert "fully connected: airplane" in said and "mine: " in said


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_has_no_serious_barrier(page, axe, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    assert axe(page) == []
