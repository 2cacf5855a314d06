"""The page that computes nets: what is written into it, and which nets it refuses.

Whether it computes as Keras does is tried in browser/test_page.py.
"""

import base64
import hashlib
import json
import re
import zlib

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import layers

from cifar_keras import data, models, play
from cifar_keras.__main__ import main
from cifar_keras.errors import UserError

MEGABYTE = 1_000_000
numbers = st.floats(-100, 100, width=32)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "play.html"
    assert main(["play", "--no-open", "--out", str(out)]) == 0
    return out.read_text(encoding="utf-8")


def payload_of(page):
    [text] = re.findall(r'id="payload">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def unpacked(text):
    return zlib.decompress(base64.b64decode(text))


# --- What is written ------------------------------------------------------------------------------


def test_the_page_is_one_small_file_that_asks_no_host(page):
    assert len(page.encode()) < 6 * MEGABYTE
    assert "{{" not in page.replace("`{{", "")
    assert not re.search(r"https?://|\bsrc=|@import|url\(|\bfetch\(", page)


def test_the_page_has_the_recorded_nets_and_a_hundred_images(page):
    content = payload_of(page)
    names = [net["name"] for net in content["nets"]]
    assert names == ["fully_connected", "average_pooling", "average_pooling_dropout", "compact"]
    assert [net["parameters"] for net in content["nets"]] == [2190122, 1132842, 1132842, 146160]
    assert len(unpacked(content["images"])) == 100 * 32 * 32 * 3
    assert sorted(content["labels"]) == sorted([*range(10)] * 10)


def test_pixels_are_normalised_as_the_net_was_trained(page):
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    methods = ["symmetric"] * 3 + ["standardized"]
    for net, method in zip(payload_of(page)["nets"], methods, strict=True):
        ours = pixels * np.float32(net["pixels"]["factor"]) + np.float32(net["pixels"]["shift"])
        np.testing.assert_allclose(ours, data.normalize(pixels, method), atol=1e-5)


def test_rounding_costs_less_than_a_tenth_of_a_point():
    measured = json.loads(play.ROUNDED.read_text())
    for one in play.RECORDED:
        accuracy = measured[one.variant]
        assert accuracy["weights_sha256"] == hashlib.sha256(one.weights.read_bytes()).hexdigest()
        assert accuracy["recorded"] == one.record["summary"]["last_accuracy"]
        assert accuracy["images"] == 10_000
        assert abs(accuracy["rounded"] - accuracy["recorded"]) <= 0.001


@given(arrays(np.float32, (2, 2, 3, 4), elements=numbers))
def test_a_rounded_kernel_is_half_a_step_away_at_most(kernel):
    whole, factors = play.round_kernel(kernel)
    assert whole.dtype == np.int8 and abs(whole.astype(int)).max() <= 127
    assert (np.abs(whole * factors - kernel) <= factors * 0.501).all()


def test_weights_lie_where_the_description_says():
    model = models.build("whitened", widths=[8, 8], depths=[1, 2], residual=True)
    described, content = play.describe(model)
    kinds = [layer["kind"] for layer in described]
    assert kinds[:3] == ["convolution", "activation", "convolution"]
    assert [layer["inputs"] for layer in described if layer["kind"] == "sum"] == [[9, 12]]
    for layer in described:
        if layer["kind"] == "convolution":
            kernel = keras.ops.convert_to_numpy(model.get_layer(layer["name"]).kernel)
            offset, length = layer["floats"]["kernel"]
            assert content[offset : offset + 4 * length] == kernel.tobytes()


def test_a_large_kernel_is_written_rounded():
    model = models.build_average_pooling()
    described, content = play.describe(model)
    layer = next(layer for layer in described if layer["name"] == "convolution_4")
    kernel = keras.ops.convert_to_numpy(model.get_layer("convolution_4").kernel)
    whole, factors = play.round_kernel(kernel)
    offset, length = layer["kernel"]
    assert content[offset : offset + length] == whole.tobytes()
    offset, length = layer["floats"]["factors"]
    assert content[offset : offset + 4 * length] == factors.tobytes()
    play.round_weights(model)
    rounded = keras.ops.convert_to_numpy(model.get_layer("convolution_4").kernel)
    np.testing.assert_array_equal(rounded, whole * factors)


def test_normalisation_is_a_factor_and_a_shift():
    layer = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((32, 32, 3)), layer])
    random = np.random.default_rng(0)
    layer.set_weights([random.uniform(1, 2, 3).astype("float32") for _ in range(4)])
    [described], content = play.describe(model)
    factor, shift = (
        np.frombuffer(content, "<f4", length, offset)
        for offset, length in (described["floats"][name] for name in ("factor", "shift"))
    )
    x = random.normal(size=(1, 32, 32, 3)).astype("float32")
    ours = x * factor + shift
    np.testing.assert_allclose(ours, keras.ops.convert_to_numpy(layer(x)), atol=1e-5)


# --- Nets of one's own ----------------------------------------------------------------------------


@pytest.fixture
def alone(monkeypatch):
    """A page without the recorded nets, which take seconds."""
    monkeypatch.setattr(play, "RECORDED", ())


def saved(folder, *inside, shape=(32, 32, 3)):
    """The path of a net with these layers between image and ten logits."""
    path = folder / "mine.keras"
    last = [layers.Flatten(), layers.Dense(10)]
    keras.Sequential([keras.Input(shape), *inside, *last]).save(path)
    return path


def test_a_layer_may_have_seed_in_its_name():
    convolution = layers.Conv2D(4, 3, name="seed_conv")
    [described], _ = play.describe(keras.Sequential([keras.Input((32, 32, 3)), convolution]))
    assert described["floats"].keys() == {"kernel", "bias"}


def test_a_net_of_ones_own_is_added(alone, tmp_path, capsys):
    path = saved(tmp_path, layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D())
    out = tmp_path / "folder" / "page.html"
    assert main(["play", "--no-open", "--run", str(path), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"page: {out}\n"
    assert payload_of(out.read_text())["nets"][-1]["title"] == "mine"


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (lambda: layers.Conv2D(4, 3, activation="gelu", name="odd"), "odd (Conv2D)"),
        (lambda: layers.Conv2D(4, 3, strides=2, name="odd"), "odd (Conv2D)"),
        (lambda: layers.Conv2D(4, (1, 3), name="odd"), "odd (Conv2D)"),
        (lambda: layers.AveragePooling2D(2, name="odd"), "odd (AveragePooling2D)"),
        (lambda: layers.MaxPooling2D(3, strides=2, name="odd"), "odd (MaxPooling2D)"),
        (lambda: layers.Rescaling(2.0, offset=1.0, name="odd"), "odd (Rescaling)"),
        (lambda: layers.LayerNormalization(name="odd"), "odd (LayerNormalization)"),
        (lambda: layers.ReLU(negative_slope=0.1, name="odd"), "odd (ReLU)"),
        (lambda: layers.ReLU(threshold=0.1, name="odd"), "odd (ReLU)"),
        (lambda: layers.Dense(4, name="odd"), "odd (Dense)"),  # of a map's channels
        (lambda: layers.BatchNormalization(axis=1, name="odd"), "odd (BatchNormalization)"),
        (lambda: layers.Flatten("channels_first", name="odd"), "odd (Flatten)"),
        (
            lambda: layers.GlobalMaxPooling2D("channels_first", name="odd"),
            "odd (GlobalMaxPooling2D)",
        ),
        (lambda: layers.SpatialDropout2D(0.5, name="odd"), "odd (SpatialDropout2D)"),
        (lambda: layers.Dropout(0.5, noise_shape=(None, 1, 1, 3), name="odd"), "odd (Dropout)"),
        (lambda: layers.Rescaling([1.0, 2.0, 3.0], name="odd"), "odd (Rescaling)"),
    ],
)
def test_a_layer_that_the_page_cannot_compute_is_named(alone, tmp_path, layer, named):
    with pytest.raises(UserError, match=re.escape(named)):
        play.write_page(tmp_path / "page.html", [saved(tmp_path, layers.Conv2D(3, 3), layer())])
    assert not (tmp_path / "page.html").exists()


class Wider(layers.Conv2D):
    """A convolution of Keras' by its class, but not by what it computes."""

    def call(self, inputs):
        return 2 * super().call(inputs)


def added(image, *others):
    x = layers.Conv2D(3, 3, padding="same")(image)
    return layers.Flatten()(layers.Add(name="odd")([x, *(other(image) for other in others)]))


@pytest.mark.parametrize(
    ("ending", "named"),
    [
        (lambda image: layers.Flatten()(Wider(4, 3, name="odd")(image)), "odd (Wider)"),
        (lambda image: added(image, layers.ReLU(), layers.Dropout(0.5)), "odd (Add)"),
        (lambda image: added(image, layers.MaxPooling2D(32)), "odd (Add)"),
    ],
    ids=["subclass", "three", "shapes"],
)
def test_what_a_layer_takes_or_makes_of_it_counts(ending, named):
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, layers.Dense(10)(ending(image)))
    with pytest.raises(UserError, match=re.escape(named)):
        play.describe(model)


def test_a_layer_that_is_used_twice_keeps_one_kernel_and_gets_two_names():
    x = image = keras.Input((32, 32, 3))
    twice = layers.Conv2D(3, 3, padding="same", name="twice")
    x = layers.Dense(10)(layers.Flatten(name="flatten")(twice(twice(x))))
    described, content = play.describe(keras.Model(image, x))
    assert [layer["name"] for layer in described][:3] == ["twice", "twice (2)", "flatten"]
    assert [layer["inputs"] for layer in described] == [[-1], [0], [1], [2]]
    assert described[0]["floats"] == described[1]["floats"]
    assert len(content) == 4 * (84 + 10) + 10 * 3072 + 4 * 10


def test_each_use_of_a_layer_is_looked_at():
    image = keras.Input((32, 32, 3))
    x, add = layers.Conv2D(3, 3, padding="same")(image), layers.Add(name="odd")
    once = add([x, image])
    wrong = add([once, layers.MaxPooling2D(32)(once)])
    with pytest.raises(UserError, match=re.escape("odd (Add)")):
        play.describe(keras.Model(image, layers.Dense(10)(layers.Flatten()(wrong))))


def test_a_net_of_other_images_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"takes \(28, 28, 1\) and gives \(10,\)"):
        play.load_net(saved(tmp_path, shape=(28, 28, 1)))


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (lambda x: [layers.Flatten()(x), layers.GlobalMaxPooling2D()(x)], r"(9000,) and (10,)"),
        (lambda x: x, "gives (30, 30, 10)"),
        (lambda x: layers.GlobalMaxPooling2D()(x[..., :9]), "gives (9,)"),
    ],
    ids=["two", "a map", "nine"],
)
def test_a_net_of_other_outputs_is_refused(tmp_path, outputs, said):
    image = keras.Input((32, 32, 3))
    path = tmp_path / "other.keras"
    keras.Model(image, outputs(layers.Conv2D(10, 3)(image))).save(path)
    with pytest.raises(UserError, match=re.escape(said)):
        play.load_net(path)


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_a_net_that_was_never_built_is_refused(tmp_path):
    keras.Sequential([layers.Conv2D(4, 3), layers.Flatten()]).save(tmp_path / "unbuilt.keras")
    with pytest.raises(UserError, match="takes nothing and gives nothing"):
        play.load_net(tmp_path / "unbuilt.keras")


def test_a_net_without_a_convolution_is_refused(tmp_path):
    with pytest.raises(UserError, match="mine.keras has no convolution"):
        play.load_net(saved(tmp_path))


def test_nets_of_one_name_are_numbered(alone, tmp_path):
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = saved(tmp_path, layers.Conv2D(1, 3))
        paths.append(path.rename(tmp_path / folder / "my net.keras"))
    play.write_page(tmp_path / "page.html", [*paths, paths[0]])
    nets = payload_of((tmp_path / "page.html").read_text())["nets"]
    assert [net["name"] for net in nets] == ["my net", "my net 2", "my net 3"]


def test_what_is_no_net_is_refused_in_a_line(alone, tmp_path, capsys):
    (tmp_path / "broken.keras").write_bytes(b"no zip")
    (tmp_path / "unfinished-seed0").mkdir()
    for name, said in {
        "broken.keras": "no model that Keras can read",
        "absent.keras": "there is no file",
        "unfinished-seed0": "there is no finished run in",
        "some-folder": "is no folder of a run",
    }.items():
        command = ["play", "--no-open", "--run", str(tmp_path / name), "--out"]
        assert main([*command, str(tmp_path / "page.html")]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


def test_a_run_without_weights_is_refused():
    without = play.RECORDED[3].folder.parent / "compact-seed1"
    with pytest.raises(UserError, match="its study kept none"):
        play.load_net(without)


def test_a_place_that_cannot_be_written_and_a_missing_browser(alone, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    assert main(["play", "--no-open", "--out", str(tmp_path / "file" / "page.html")]) == 2
    assert "cannot write" in capsys.readouterr().err
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert main(["play", "--out", str(tmp_path / "page.html")]) == 0
    assert "no browser was found" in capsys.readouterr().out
