"""Whether the practice net is the lessons', and drops where it is told to."""

import keras
import numpy as np
import pytest

from cifar_keras import models
from cifar_keras.errors import UserError


@pytest.mark.parametrize(
    ("place", "before"),
    [
        ("before_pools", ["convolution_1", "convolution_2", "convolution_3"]),
        ("behind_pools", ["pool_1", "pool_2", "pool_3"]),
        ("in_head", ["flatten", "hidden"]),
    ],
)
def test_it_drops_where_it_is_told_to_and_begins_with_the_same_weights(place, before):
    keras.utils.set_random_seed(0)
    model = models.build("practice", rate=0.3, place=place)
    rates = [getattr(layer, "rate", 0) for layer in model.layers]
    assert set(rates) == {0, 0.3} and model.count_params() == 288_554
    assert [model.layers[i - 1].name for i, rate in enumerate(rates) if rate] == before
    keras.utils.set_random_seed(0)
    without = models.build("practice")
    assert not any(getattr(layer, "rate", 0) for layer in without.layers)
    for ours, theirs in zip(model.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_it_is_the_lessons_net():
    layers = [layer for layer in models.build("practice").layers if layer.count_params()]
    sizes = [getattr(layer, "filters", None) or layer.units for layer in layers]
    assert sizes == [16, 32, 64, 256, 10]
    assert [layer.activation.__name__ for layer in layers] == [*["relu"] * 4, "linear"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 1.0}, r"rate is 1.0: .*\[0, 1\)"),
        ({"rate": True}, "rate is True"),
        ({"rate": "0.5"}, "rate is '0.5'"),
        ({"place": "pools"}, "no place 'pools'; choose one of: before_pools, behind_pools"),
        ({"initialization": "pytorch"}, "initialization is 'pytorch'"),
    ],
)
def test_unfit_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        models.build("practice", **arguments)
