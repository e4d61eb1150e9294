"""Architectures: the published sizes and order of layers, and refusal of what cannot be built."""

from functools import partial

import pytest
import torch
from torch import nn

from ziffern.errors import InputError
from ziffern.models import CNN, MLP, An2020, ConvNet, Ensemble, Views
from ziffern.models.mlp import ACTIVATIONS
from ziffern.models.normalization import Normalize


@pytest.mark.parametrize(
    ("net", "count"),
    [
        (CNN(), 21_840),
        (MLP(), 101_770),
        (MLP([512, 256, 128], dropout=0.2), 567_434),
        (MLP([]), 7_850),
        (CNN(num_classes=26), 21_840 + 16 * 51),
        (MLP(num_classes=26), 101_770 + 16 * 129),
    ],
    ids=["cnn", "nn", "dnn", "linear", "cnn 26", "nn 26"],
)
def test_number_of_parameters_is_the_published_one(net, count):
    assert sum(parameter.numel() for parameter in net.parameters()) == count


@pytest.mark.parametrize("classes", [2, 10, 26])
@pytest.mark.parametrize("build", [CNN, MLP])
def test_logits_have_a_column_a_class(build, classes):
    logits = build(num_classes=classes)(torch.rand(3, 1, 28, 28))
    assert (logits.shape, logits.dtype) == ((3, classes), torch.float32)


def test_channel_dropout_stands_before_the_second_pooling():
    kinds = [type(layer) for layer in CNN().features]
    pools = [at for at, kind in enumerate(kinds) if kind is nn.MaxPool2d]
    assert kinds.index(nn.Dropout2d) == pools[1] - 1
    assert kinds.count(nn.Dropout2d) == 1
    assert kinds == [nn.Conv2d, nn.MaxPool2d, nn.ReLU, nn.Conv2d, nn.Dropout2d, nn.MaxPool2d, nn.ReLU]


def test_cnn_drops_whole_channels_with_its_own_probability_and_none_in_evaluation():
    torch.manual_seed(0)
    net, images = CNN(conv_dropout=0.25, dropout=0.75), torch.rand(200, 1, 28, 28)
    assert (net.features[4].p, net.classifier[3].p) == (0.25, 0.75)
    dropped = (net.features[:5](images) == 0).flatten(2)  # (200, 20, 64)
    assert torch.equal(dropped.all(2), dropped.any(2))
    assert float(dropped.all(2).float().mean()) == pytest.approx(0.25, abs=0.03)
    net.eval()
    assert torch.equal(net(images), net(images))
    assert not (net.features[:5](images) == 0).any()


def test_mlp_has_an_activation_and_dropout_after_each_hidden_layer_only():
    kinds = [type(layer).__name__ for layer in MLP([8, 4], "tanh", 0.1).layers]
    assert kinds == ["Flatten", "Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert [type(layer).__name__ for layer in MLP([8]).layers] == ["Flatten", "Linear", "ReLU", "Linear"]
    assert [layer.out_features for layer in MLP([8, 4]).layers if isinstance(layer, nn.Linear)] == [8, 4, 10]


@pytest.mark.parametrize(("name", "formula"), [("relu", torch.relu), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh)])
def test_activation_is_the_one_that_was_named(name, formula):
    net, images = MLP([5], name), torch.rand(2, 1, 28, 28)
    hidden = net.layers[1](images.flatten(1))
    torch.testing.assert_close(net(images), net.layers[-1](formula(hidden)))
    assert set(ACTIVATIONS) == {"relu", "sigmoid", "tanh", "gelu"}


@pytest.mark.parametrize("build", [CNN, MLP])
def test_weights_follow_the_seed(build):
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([parameter.flatten() for parameter in build().parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("build", "settings", "words"),
    [
        (CNN, {"conv_dropout": 1.0}, ["model.net.conv_dropout=1.0", "below 1"]),
        (CNN, {"dropout": -0.1}, ["model.net.dropout=-0.1", "at least 0"]),
        (CNN, {"dropout": float("nan")}, ["model.net.dropout=nan"]),
        (MLP, {"dropout": 1}, ["model.net.dropout=1", "below 1"]),
        (MLP, {"activation": "swish"}, ["model.net.activation=swish", "relu, sigmoid, tanh, gelu"]),
        (MLP, {"hidden": [128, 0]}, ["model.net.hidden=[128, 0]", "at least 1 unit"]),
        (MLP, {"hidden": [-5]}, ["model.net.hidden=[-5]", "at least 1 unit"]),
    ],
)
def test_bad_settings_are_refused(build, settings, words):
    with pytest.raises(InputError) as error:
        build(**settings)
    assert str(error.value).isprintable()
    assert all(word in str(error.value) for word in words), error.value


def test_convnet_is_built_as_written():
    net = ConvNet(["8x16/2", "pool", "3x24", "mean"])
    kinds = [type(layer).__name__ for layer in net.features]
    assert kinds == [
        *("Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU"),
        "AdaptiveAvgPool2d",
    ]
    assert net.features[:1](torch.rand(2, 1, 28, 28)).shape == (2, 16, 11, 11)
    assert net.features(torch.rand(2, 1, 28, 28)).shape == (2, 24, 1, 1)
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    convolutions = 64 * 16 + 16 * 9 * 24
    assert sum(each.numel() for each in net.parameters()) == convolutions + 2 * (16 + 24) + 24 * 10 + 10
    assert ConvNet([]).classifier[1].in_features == 784


def test_the_relu_after_the_pooling_changes_nothing():
    net = ConvNet(["3x8", "pool", "3x8"])
    convolution, norm, pool, relu = net.features[:4]
    images = torch.randn(5, 1, 28, 28)
    assert torch.equal(net.features[:4](images), pool(relu(norm(convolution(images)))))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["3x16", "spool"], "spool: expected KERNELxCHANNELS"),
        (["0x16"], "0x16: expected"),
        (["3x16/0"], "3x16/0: expected"),
        (["29x4"], "28×28 pixels is too small for 29x4"),
        (["pool"] * 5, "too small for pool"),
    ],
)
def test_convnet_refuses_what_cannot_be_built(layers, message):
    with pytest.raises(InputError, match=message):
        ConvNet(layers)


class Corner(nn.Module):
    """Logits that tell the grey level of the pixel at (1, 1)."""

    def forward(self, images):
        level = images[:, 0, 1, 1]
        return torch.stack((level, -level), 1)


def test_views_average_probabilities_over_shifted_copies_in_evaluation_only():
    images = torch.rand(4, 1, 28, 28)
    images[:, :, 0] = images[:, :, :, 0] = -1.0  # the colour around
    views = Views(Corner(), 1)
    assert torch.equal(views.train()(images), Corner()(images))
    around = nn.functional.unfold(images[:, :, :3, :3], 3)[:, 1::2, 0]  # (4, 4), what (1, 1) sees from four places
    around = torch.cat((around, images[:, 0, 1, 1, None]), 1)
    mean = torch.stack((around, -around), 1).softmax(1).mean(2)
    torch.testing.assert_close(views.eval()(images), mean.log())
    assert torch.equal(Views(Corner(), 0).eval()(images), Corner()(images))
    with pytest.raises(InputError, match=r"pixels=9"):
        Views(Corner(), 9)


SPECS = [[1, 28, 28], [3, 32, 32], [2, 33, 47]]
NETS = {
    "cnn": CNN,
    "nn": partial(MLP, [8]),
    "convnet": partial(ConvNet, ["5x4", "pool", "3x8/2"]),
    "mean": partial(ConvNet, ["5x4", "mean"]),
    "m7": partial(An2020, 7, [4, 4]),
}


@pytest.mark.parametrize("image", SPECS)
@pytest.mark.parametrize("name", NETS)
def test_every_net_takes_any_shape(name, image):
    net = NETS[name](image=image, num_classes=7).eval()
    assert net(torch.rand(2, *image)).shape == (2, 7)
    assert Views(net).eval()(torch.rand(2, *image)).shape == (2, 7)


@pytest.mark.parametrize(
    ("kernel_size", "channels", "count"),
    [
        (3, range(32, 177, 16), 1_124_180),
        (5, range(32, 161, 32), 1_128_180),
        (7, range(48, 193, 48), 2_291_972),
    ],
)
def test_the_published_nets_of_an_2020(kernel_size, channels, count):
    assert sum(each.numel() for each in An2020(kernel_size, list(channels)).parameters()) == count


@pytest.mark.parametrize("build", [partial(CNN, image=[1, 28, 15]), partial(An2020, 7, [4] * 4, image=[1, 28, 20])])
def test_an_image_that_is_too_small_is_refused(build):
    with pytest.raises(InputError, match=r"28×(15|20) pixels"):
        build()


def test_an_ensemble_of_color_nets_normalizes_for_each():
    normalize = [Normalize(kind, image=[3, 8, 8]) for kind in ("unit", "symmetric")]
    nets = [MLP([4], image=[3, 8, 8]), MLP([4], image=[3, 8, 8])]
    levels = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    mean = torch.stack([net(each(levels)).softmax(1) for net, each in zip(nets, normalize, strict=True)]).mean(0)
    torch.testing.assert_close(Ensemble(nets, normalize)(levels / 255).exp(), mean)
