"""Whether the benchmarks' nets in plain PyTorch are the course's."""

import epoch_time
import keras
import numpy as np
import pytest
from small_study import array

from cifar_keras import data, models, training

torch = pytest.importorskip("torch", reason="PyTorch, in which these nets are, is not installed")


def test_nets_that_have_no_twin_are_named():
    with pytest.raises(ValueError, match="flatten is a Flatten, which has no twin yet"):
        epoch_time.twin(models.build("fully_connected"))


@pytest.mark.parametrize("net", epoch_time.NETS)
def test_a_twin_net_computes_what_its_keras_net_does(net, monkeypatch):
    (images, labels), _ = data.load_sample()
    monkeypatch.setattr(data, "load_sample", lambda: ((images[:300], labels[:300]),) * 2)
    model, batches, recipe = epoch_time.prepared(net)
    random = np.random.default_rng(0)
    for weight in model.weights:  # far from where a new net has them
        if "normalization" in weight.path:
            weight.assign(0.1 + random.random(weight.shape))
    twin = epoch_time.twin(model)
    trained = sum(weight.numel() for weight in twin.parameters() if weight.requires_grad)
    assert trained == sum(np.prod(weight.shape) for weight in model.trainable_weights)
    inputs = batches[0][0][:64]
    theirs, _ = epoch_time.tensors(inputs, labels[:64])
    with torch.no_grad():
        np.testing.assert_allclose(twin.eval()(theirs), array(model(inputs)), rtol=1e-3, atol=1e-4)
    kinds = [type(module) for module in twin]
    rates = [module.p for module in twin if isinstance(module, torch.nn.Dropout)]
    assert rates == [layer.rate for layer in model.layers if "dropout" in layer.name]
    if rates:
        assert all(
            kinds[i - 1] is torch.nn.ReLU for i, k in enumerate(kinds) if k is torch.nn.Dropout
        )
        return
    # In training, too, and the moments that it keeps; PyTorch's variance is the unbiased one.
    with torch.no_grad():
        expected = array(model(inputs, training=True))
        np.testing.assert_allclose(twin.train()(theirs), expected, rtol=1e-2, atol=1e-3)
    kept = [layer for layer in model.layers if "normalization" in layer.name]
    for layer, module in zip(
        kept, (m for m in twin if isinstance(m, torch.nn.BatchNorm2d)), strict=True
    ):
        np.testing.assert_allclose(module.running_mean, array(layer.moving_mean), atol=1e-3)
        np.testing.assert_allclose(module.running_var, array(layer.moving_variance), rtol=1e-2)


def test_a_twin_net_trains_as_its_keras_net_does():
    keras.utils.set_random_seed(0)
    model = training.compile_model(models.build("average_pooling"))
    twin = epoch_time.twin(model)
    step = epoch_time.torch_step(twin, training.REFERENCE, mixed=False)
    images, labels = data.load_sample()[1]
    images, labels = data.normalize(images[:32]), labels[:32]
    inputs, numbers = epoch_time.tensors(images, labels)
    cross_entropy = torch.nn.CrossEntropyLoss()
    for _ in range(3):  # PyTorch's ε stands elsewhere, so that they part later
        loss = float(model.train_on_batch(images, labels)[0])
        model.reset_metrics()
        assert cross_entropy(twin(inputs), numbers).item() == pytest.approx(loss, rel=1e-3)
        step(inputs, numbers)
