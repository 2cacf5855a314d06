"""The page of nets as people use it: in a Chromium without a window, from a file."""

import json
import re

import keras
import numpy as np
import pytest
from keras import layers
from PIL import ExifTags, Image, ImageCms, ImageFilter

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
# What the panel says of a number, once it does.
EXPLAINED = """
const [done, started] = [arguments[0], performance.now()];
(function wait() {
  const said = document.getElementById("numbers").innerText;
  if (document.querySelector("#numbers td") || performance.now() - started > 3000) done(said);
  else setTimeout(wait, 50);
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


LONG = "a_name_of_a_net_without_any_space_that_is_longer_than_a_telephone_is_wide"


def linear_head(x):
    """Layers of which each is linear around a picture; without biases."""
    x = layers.GlobalMaxPooling2D()(x)
    large = keras.initializers.RandomUniform(-1, 1)
    x = layers.BatchNormalization(center=False, gamma_initializer=large)(x)
    x = layers.Dropout(0.5)(layers.ReLU()(x))
    x = layers.Dense(16, activation="relu", use_bias=False, kernel_initializer=large)(x)
    x = layers.Dense(10, use_bias=False, kernel_initializer=large)(x)
    return layers.Rescaling(2.0)(x)


def two_branches(x):
    return layers.Dense(10)(
        layers.Add()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    )


def used_again(x):
    again = layers.Conv2D(12, 3, padding="same", activation="relu", name="again")
    return layers.Dense(10)(layers.GlobalMaxPooling2D()(again(again(x))))


HEADS = {
    "linear": linear_head,
    "silu": lambda x: layers.Dense(10)(layers.Dense(16, activation="silu")(layers.Flatten()(x))),
    "branches": two_branches,
    "again": used_again,
    LONG: lambda x: layers.Dense(10)(layers.GlobalAveragePooling2D()(x)),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A page of small nets with heads that the course does not have; the nets; their folder."""
    folder = tmp_path_factory.mktemp("page of small nets")
    keras.utils.set_random_seed(0)
    for name, head in HEADS.items():
        image = keras.Input((32, 32, 3))
        x = layers.Conv2D(8, 3, name="first", bias_initializer="random_normal")(image)
        x = layers.MaxPooling2D(4)(x)
        x = layers.BatchNormalization(beta_initializer="random_normal")(x)
        x = layers.Conv2D(12, 3, name="second")(layers.Activation("silu")(x))
        keras.Model(image, head(x)).save(folder / f"{name}.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "RECORDED", ())
        play.write_page(folder / "play.html", [folder / f"{name}.keras" for name in HEADS])
    text = (folder / "play.html").read_text()
    payload = json.loads(re.findall(r'id="payload">(.*?)</script>', text, re.DOTALL)[0])
    return (folder / "play.html").as_uri(), dict(zip(HEADS, payload["nets"], strict=True)), folder


@pytest.fixture
def few(browser, small):
    browser.get(small[0])
    browser.execute_async_script(SETTLED)
    return browser


@pytest.fixture
def before_loading(browser):
    """A function: runs a script on each page that is loaded from now on, before its own."""
    command, made = "Page.addScriptToEvaluateOnNewDocument", []
    yield lambda source: made.append(browser.execute_cdp_cmd(command, {"source": source}))
    for script in made:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def compute(page, net, expression, pixels=None):
    """What an expression of JavaScript gives, with `net` and `pixels` in it."""
    script = (
        "const [written, pixels, done] = arguments; inflated(written.bytes).then((bytes) => {"
        f"const net = unpack(written, bytes); return {expression} }}).then(done)"
    )
    return page.execute_async_script(script, net, pixels)


def notes(page):
    """What the cards say, without the time that it took."""
    answers(page)
    return page.execute_script(
        "return [...document.querySelectorAll('.net > p:last-child')]"
        ".map((note) => note.textContent.replace(/\\d+ ms/, ''))"
    )


def soon(page, condition):
    """Whether a condition in JavaScript comes true within three seconds."""
    script = """
    const [condition, done, started] = [arguments[0], arguments[1], performance.now()];
    (function wait() {
      const found = Boolean(eval(condition));
      if (found || performance.now() - started > 3000) done(found); else setTimeout(wait, 20);
    })();
    """
    return page.execute_async_script(script, condition)


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


def test_a_layer_may_be_used_again(few, small):
    pixels = data.load_sample()[1][0][:10]
    model = keras.saving.load_model(small[2] / "again.keras")
    flat = pixels.reshape(10, -1).tolist()
    ours = np.array(few.execute_async_script(LOGITS, "again", flat))
    expected = model.predict(data.normalize(pixels), verbose=0)
    assert np.ptp(expected, axis=0).min() > 1e-2
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_it_asks_no_host_and_complains_of_nothing(page, heard):
    answers(page)
    asked, complaints = heard(page)
    assert complaints == []
    assert asked and all(address.startswith(("file:", "blob:", "data:")) for address in asked)


def test_a_net_of_ones_own_stands_beside_the_others(page):
    titles = [card.text for card in page.find_elements("css selector", ".net h3")]
    assert titles[-1] == "mine" and len(titles) == 5
    assert re.search(r"\(-?\d+\.\d\), without the biases: from", answers(page)[-1])


def test_memory_of_the_page_does_not_grow_with_the_images(page):
    pixels = [np.random.default_rng(i).integers(0, 256, 3072).tolist() for i in range(50)]
    sizes = []
    for _ in range(4):
        page.execute_async_script(LOGITS, "compact", pixels)
        page.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        used = page.execute_cdp_cmd("Runtime.getHeapUsage", {})
        sizes.append(used["usedSize"] + used.get("backingStorageSize", 0))
    assert sizes[-1] - sizes[0] < 2_000_000  # bytes


@pytest.mark.parametrize("dropout", ["null", "seeded(1)"])
@pytest.mark.parametrize("picture", ["white", "noise"])
def test_the_parts_add_up_to_the_logit(few, small, picture, dropout):
    noise = np.random.default_rng(0).integers(0, 256, 3072)
    pixels = np.full(3072, 255) if picture == "white" else noise  # white: all places are equal
    sums, logits = compute(
        few,
        small[1]["linear"],
        f"(() => {{ const outputs = run(net, pixels, {{ random: {dropout} }});"
        "const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];"
        "const sum = (label) => contributions(net, outputs, label).data.reduce((a, b) => a + b);"
        "return [all.map(sum), Array.from(logits(outputs))] })()",
        pixels.tolist(),
    )
    assert np.ptp(logits) > 1e-2
    np.testing.assert_allclose(sums, logits, rtol=1e-3, atol=1e-4)


def test_a_head_that_is_not_linear_has_no_parts(few):
    shown = [note.startswith("What each of") for note in notes(few)]
    assert shown == [True, False, False, True, True]
    assert notes(few)[1].startswith("No map: what follows the last feature map is not linear")
    visible = [where.is_displayed() for where in few.find_elements("css selector", ".where")]
    assert visible == shown


def test_a_channel_that_is_off_is_off_until_the_next_convolution(few, small):
    rest = compute(
        few,
        small[1]["linear"],
        "run(net, new Uint8Array(3072).fill(200), { off: { first: new Set([3]) } })"
        ".slice(0, 4).map(({ data }) => data.some((number, i) => i % 8 === 3 && number !== 0))",
    )
    assert rest == [False] * 4


def test_the_number_that_is_explained_is_the_map_s(few, small):
    told, number = compute(
        few,
        small[1]["linear"],
        "(() => { const pixels = Uint8Array.from({ length: 3072 }, (_, i) => (7 * i) % 256);"
        "const outputs = run(net, pixels);"
        "return [explain(net, outputs, pixels, 0, 5, 2, 4), outputs[0].data[(2 * 30 + 4) * 8 + 5]]"
        "})()",
    )
    assert told["total"] == pytest.approx(number, abs=1e-4) and told["bias"] != 0
    products = np.dot(told["patch"], told["weights"])
    assert told["sum"] == pytest.approx(products, abs=1e-4) and len(told["patch"]) == 9


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


def test_colours_are_as_they_are_stored(page, photograph, tmp_path):
    path = tmp_path / "profile.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    parts = profile.partition(b"rXYZ")  # red and blue change places
    swapped = parts[0] + b"bXYZ" + parts[2].replace(b"bXYZ", b"rXYZ", 1)
    photograph.save(path, icc_profile=swapped)
    assert same_as_the_package(give(page, path)[0], path)


def test_the_same_file_can_be_chosen_again(few, photograph, tmp_path):
    path = tmp_path / "picture.png"
    photograph.save(path)
    give(few, path)
    assert few.find_element("id", "file").get_attribute("value") == ""


SLOWLY = """
const decode = window.createImageBitmap;
window.decoded = 0;
window.createImageBitmap = async (...given) => {
  await new Promise((resolve) => setTimeout(resolve, 400));
  try { return await decode(...given); } finally { window.decoded += 1; }
};
"""


def test_a_picture_that_is_decoded_slowly_replaces_no_later_choice(few, photograph, tmp_path):
    path = tmp_path / "slow.png"
    photograph.save(path)
    few.execute_script(SLOWLY)
    few.find_element("id", "file").send_keys(str(path))
    assert few.find_element("id", "message").text == "reading slow.png …"
    few.execute_script("document.querySelectorAll('#thumbnails button')[1].click()")
    assert few.find_element("id", "message").text == ""
    assert soon(few, "window.decoded === 1")
    answers(few)
    assert few.find_element("id", "truth").text == "automobile"


def test_a_picture_that_comes_early_is_not_replaced_by_a_test_image(browser, small, before_loading):
    before_loading(
        "const read = Response.prototype.arrayBuffer;"
        "Response.prototype.arrayBuffer = async function () {"
        "  await new Promise((resolve) => setTimeout(resolve, 1500)); return read.call(this); }"
    )
    browser.get(small[0])
    browser.execute_script(
        "const canvas = document.createElement('canvas');"
        "canvas.toBlob((blob) => take(new File([blob], 'early.png')))"
    )
    assert soon(browser, "document.querySelectorAll('#thumbnails button').length")
    answers(browser)
    assert browser.find_element("id", "truth").text == "a picture of yours"


def test_a_drop_without_a_file_is_answered(few):
    few.execute_script(
        "document.dispatchEvent(new DragEvent('drop', {dataTransfer: new DataTransfer()}))"
    )
    assert "is no file; take a picture" in few.find_element("id", "message").text


# --- Answers come late, or not at all -------------------------------------------------------------


def test_an_older_answer_is_of_its_own_picture_and_layer(few):
    thumbnail = "document.querySelectorAll('#thumbnails button')[arguments[0]].click()"
    true = "return [...document.querySelectorAll('.net:first-child .bar')].findIndex(" + (
        "(bar) => bar.classList.contains('true'))"
    )
    maps = "return document.querySelectorAll('.map').length"
    few.execute_script(
        "window.held = []; window.worker = workers.linear.worker;"
        "window.deliver = worker.onmessage; worker.onmessage = (event) => held.push(event);"
    )
    few.execute_script(thumbnail, 3)
    assert soon(few, "held.length === 1")
    few.execute_script(thumbnail, 4)
    few.execute_script(
        "const select = document.getElementById('inside-layer'); select.value = 'second';"
        "select.dispatchEvent(new Event('change'));"
        "worker.onmessage = window.deliver; worker.onmessage(held[0]);"
        "worker.onmessage = (event) => held.push(event)"
    )
    assert few.execute_script(true) == 3 and few.execute_script(maps) == 8
    assert soon(few, "held.length === 2")
    few.execute_script("worker.onmessage = window.deliver; worker.onmessage(held[1])")
    answers(few)
    assert few.execute_script(true) == 4 and few.execute_script(maps) == 12


def test_an_error_is_said_in_the_card_and_ends_with_its_cause(few):
    verdicts = "[...document.querySelectorAll('.net')].map((card) => card.innerText)"
    few.execute_script("state.off.linear = { first: { size: 1 } }; update()")  # it is no set
    assert soon(few, f"/cannot be computed: ./.test({verdicts}[0])")
    assert soon(few, f"!/cannot be computed/.test({verdicts}[1])")
    assert soon(few, "!workers.linear.busy")
    few.execute_script("state.off = {}; update()")
    assert soon(few, f"!/cannot be computed/.test({verdicts}[0])")
    assert soon(few, "document.querySelectorAll('.map').length === 8")


@pytest.mark.parametrize(
    ("lacks", "named"),
    [
        ("delete window.DecompressionStream", "DecompressionStream is not defined"),
        ("window.Worker = function () { throw new Error('no blob here') }", "no blob here"),
    ],
)
def test_a_browser_that_lacks_something_says_so(browser, small, before_loading, lacks, named):
    before_loading(lacks)
    browser.get(small[0])
    assert soon(browser, "document.getElementById('message').textContent")
    message = browser.find_element("id", "message").text
    assert named in message and "a current Firefox" in message


def test_without_scripts_it_says_what_to_do(browser, small):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(small[0])
        root = browser.execute_cdp_cmd("DOM.getDocument", {"depth": -1})["root"]
        html = browser.execute_cdp_cmd("DOM.getOuterHTML", {"nodeId": root["nodeId"]})["outerHTML"]
        assert "<noscript><p>" in html and "switch it on and load the page again" in html
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_text_of_the_weights_is_let_go(few):
    assert few.execute_script(
        "return !document.getElementById('payload') && !payload.images"
        "&& payload.nets.every(({ bytes }) => !bytes)"
    )


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
        "const [name, done] = arguments; const net = workers[name]; const pixels = state.pixels;"
        "const one = (seed) => net.send('ask', {pixels, dropout: true, seed, off: {}});"
        "Promise.all([one(1), one(2)]).then((two) => done(two.map(({logits}) => logits)))"
    )
    one, other = page.execute_async_script(logits, "average_pooling_dropout")
    assert one != other
    one, other = page.execute_async_script(logits, "average_pooling")
    assert one == other


def test_dropout_drops_the_same_until_the_picture_changes(few):
    few.find_element("id", "dropout").click()
    before = notes(few)
    move(few, "temperature", 2)
    assert notes(few) == before
    few.execute_script(
        "const select = document.getElementById('inside-layer'); select.value = 'second';"
        "select.dispatchEvent(new Event('change'))"
    )
    assert notes(few) == before
    few.execute_script("document.querySelector('#thumbnails button').click()")
    assert notes(few)[0] != before[0] and notes(few)[1:] == before[1:]


def test_undoing_all_draws_the_picture_once(few):
    move(few, "shift", 3)
    few.execute_script(
        "window.drawn = 0; const context = document.getElementById('picture').getContext('2d');"
        "const put = context.putImageData.bind(context);"
        "context.putImageData = (...given) => { window.drawn += 1; put(...given) }"
    )
    few.find_element("id", "reset").click()
    assert few.execute_script("return window.drawn") == 1
    assert few.execute_script("return document.getElementById('shift').value") == "0"
    assert few.execute_script("return state.pixels.join() === state.changed.join()")


def test_channels_are_switched_off_by_a_key_and_on_by_another(page):
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
    text = page.execute_async_script(EXPLAINED)
    assert "Feature map 2, row 17, column 17" in text and "3 channels" in text
    assert len(page.find_elements("css selector", "#numbers td")) == 18


def test_the_panel_is_about_what_is_shown(few):
    few.execute_script("document.querySelector('.map:nth-child(2)').focus()")
    text = few.execute_async_script(EXPLAINED)
    # Another question that a program asks changes nothing.
    few.execute_async_script(
        "window.nets.predict('linear', new Uint8Array(3072)).then(arguments[0])"
    )
    again = "document.querySelector('.map').focus(); document.querySelector('.map + .map').focus()"
    few.execute_script(f"document.getElementById('told')?.replaceChildren(); {again}")
    assert few.execute_async_script(EXPLAINED) == text
    few.execute_script("document.querySelectorAll('#thumbnails button')[7].click()")
    answers(few)
    panel = "document.getElementById('numbers').innerText"
    assert soon(few, f"{panel}.includes('Feature map 2') && {panel} !== {json.dumps(text)}")
    few.execute_script(
        "const select = document.getElementById('inside-layer'); select.value = 'second';"
        "select.dispatchEvent(new Event('change'))"
    )
    answers(few)
    assert few.find_element("id", "numbers").text == ""


def test_a_tap_explains_and_the_switch_is_in_the_panel(few):
    from selenium.webdriver import ActionChains

    first, other = few.find_elements("css selector", ".map")[:2]
    before = notes(few)
    ActionChains(few).click(first).perform()
    text = few.execute_async_script(EXPLAINED)
    assert "Feature map 1," in text and first.get_attribute("aria-pressed") == "false"
    ActionChains(few).move_to_element(other).perform()
    few.find_element("css selector", "#numbers input").click()
    assert notes(few)[0] != before[0]
    assert few.execute_async_script(EXPLAINED) == text
    assert first.get_attribute("aria-pressed") == "true"
    assert first.get_attribute("aria-label") == "switch feature map 1 off"


# --- For everybody --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["page", "few"])  # one of them with a long name
def test_a_phone_need_not_scroll_sideways(request, name):
    page = request.getfixturevalue(name)
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
    page.execute_script(
        "window.said = 0; new MutationObserver(() => { window.said += 1; })"
        ".observe(document.getElementById('spoken'), { childList: true }); update()"
    )
    answers(page)
    page.execute_async_script("setTimeout(arguments[0], 1000)")
    assert page.execute_script("return window.said") == 0


def test_a_slider_says_its_number_with_its_unit(few):
    move(few, "rotation", 45)
    slider = few.find_element("id", "rotation")
    assert slider.get_attribute("aria-valuetext") == "45 degrees counter-clockwise"
    assert slider.accessible_name == "rotation"
    assert few.find_elements("css selector", "output") == []


def test_what_is_seen_can_be_read(few):
    rows = few.find_element("css selector", ".bars").text
    assert "airplane (true)" in rows and rows.count("(true)") == 1
    styles = few.execute_script(
        "const style = (found) => getComputedStyle(document.querySelector(found));"
        "return [style('.map canvas').borderTopStyle, style('#numbers').position,"
        "document.getElementById('numbers').ariaLive]"
    )
    assert styles == ["solid", "sticky", None]
    assert "The orange bar is the true class." in few.find_element("css selector", "main").text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_has_no_serious_barrier(page, axe, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    assert axe(page) == []
