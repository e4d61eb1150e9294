import pytest
import torch

from ziffern.errors import InputError
from ziffern.models.augmentation import RandomAffine


def bar() -> torch.Tensor:
    """A vertical bar in the middle, (1, 28, 28)."""
    images = torch.zeros(1, 28, 28, dtype=torch.uint8)
    images[0, 6:22, 13:15] = 200
    return images


def centre(image: torch.Tensor) -> torch.Tensor:
    """The centre of mass as (row, column)."""
    places = torch.arange(28.0)
    return torch.stack(((image.sum(1) * places).sum(), (image.sum(0) * places).sum())) / image.sum()


def test_nothing_to_change_leaves_the_grey_levels() -> None:
    images = torch.randint(0, 256, (4, 28, 28), dtype=torch.uint8)
    torch.testing.assert_close(RandomAffine(0, 0)(images), images.float(), atol=1e-2, rtol=0)


def test_shift_moves_within_its_bound_and_keeps_the_mass() -> None:
    torch.manual_seed(0)
    moved = RandomAffine(0, 0.2)(bar().repeat(500, 1, 1))
    moves = torch.stack([centre(image) for image in moved]) - centre(bar()[0].float())
    assert moves.abs().max() <= 0.2 * 28 + 1e-2
    assert moves.abs().max() > 0.19 * 28
    assert moves.mean(0).abs().max() < 0.5
    torch.testing.assert_close(moved.sum((1, 2)), torch.full((500,), float(bar().sum())), rtol=1e-3, atol=0)


def test_rotation_turns_by_up_to_its_angle_about_the_centre() -> None:
    torch.manual_seed(0)
    turned = RandomAffine(20, 0)(bar().repeat(500, 1, 1))
    rows, columns = torch.meshgrid(torch.arange(28.0) - 13.5, torch.arange(28.0) - 13.5, indexing="ij")
    angles = []
    for image in turned:  # the principal axis
        assert (centre(image) - 13.5).abs().max() < 0.1
        spread = 2 * (image * rows * columns).sum(), (image * (rows**2 - columns**2)).sum()
        angles.append(torch.rad2deg(torch.atan2(*spread) / 2))
    assert 19 < max(angles) < 20.5
    assert -20.5 < min(angles) < -19


def test_images_differ_within_a_batch_and_repeat_with_the_seed() -> None:
    images, augment = bar().repeat(2, 1, 1), RandomAffine()
    torch.manual_seed(3)
    first = augment(images)
    assert not torch.equal(first[0], first[1])
    torch.manual_seed(3)
    assert torch.equal(augment(images), first)
    assert images.dtype == torch.uint8
    assert torch.equal(images[0], bar()[0])


@pytest.mark.parametrize(
    "setting", [{"degrees": -1}, {"degrees": 181}, {"translate": 1.5}, {"translate": float("nan")}]
)
def test_a_value_out_of_range_is_named(setting: dict[str, float]) -> None:
    name = next(iter(setting))
    with pytest.raises(InputError, match=f"model.augment.{name}="):
        RandomAffine(**setting)


def test_scale_changes_each_side_by_its_own_factor() -> None:
    torch.manual_seed(0)
    square = torch.zeros(300, 28, 28, dtype=torch.uint8)
    square[:, 8:20, 8:20] = 200
    scaled = RandomAffine(0, 0, scale=0.25)(square)
    high, wide = ((scaled > 100).any(side).sum(1).float() for side in (2, 1))
    for extent in (high, wide):
        assert 9 <= extent.min() <= 10
        assert 15 <= extent.max() <= 17
    assert (high - wide).abs().max() >= 4


def test_shear_slants_but_keeps_rows() -> None:
    torch.manual_seed(0)
    slanted = RandomAffine(0, 0, shear=20)(bar().repeat(300, 1, 1))
    assert (slanted.sum(2)[:, 8:20] - bar()[0].float().sum(1)[8:20]).abs().max() < 1
    top, bottom = ((slanted[:, row] * torch.arange(28.0)).sum(1) / slanted[:, row].sum(1) for row in (8, 19))
    slant = torch.rad2deg(torch.atan((top - bottom) / 11))
    assert 18 <= slant.abs().max() <= 20.5


def test_elastic_displaces_smoothly_by_its_deviation() -> None:
    torch.manual_seed(0)
    ramp = (torch.arange(28) * 9).to(torch.uint8).repeat(500, 28, 1)  # the grey level tells the column
    moved = RandomAffine(0, 0, elastic=1.0)(ramp)[:, 6:22, 6:22] / 9 - torch.arange(6.0, 22.0)
    assert 0.6 < moved.std() < 1.1
    assert (moved[:, :, 1:] - moved[:, :, :-1]).abs().mean() < 0.25


def test_new_effects_leave_the_draws_of_recipes_without_them() -> None:
    torch.manual_seed(0)
    plain = RandomAffine(20, 0.2)(bar().repeat(5, 1, 1))
    torch.manual_seed(0)
    same = RandomAffine(20, 0.2, scale=1e-9)(bar().repeat(5, 1, 1))
    torch.testing.assert_close(plain, same, atol=1e-3, rtol=0)


def test_colors_move_together_and_gray_needs_no_channel() -> None:
    images = bar().repeat(4, 1, 1)
    augment = RandomAffine(10, 0.1, scale=0.1, shear=5, elastic=0.5)
    found = []
    for shape in (images, images[:, None], images[:, None].repeat(1, 3, 1, 1)):
        torch.manual_seed(0)
        found.append(augment(shape))
    gray, one, three = found
    assert torch.equal(gray, one[:, 0])
    assert all(torch.equal(three[:, channel], gray) for channel in range(3))


def test_an_image_that_is_not_square_is_rotated_in_pixels() -> None:
    wide = torch.zeros(300, 1, 28, 56, dtype=torch.uint8)
    wide[:, :, 6:22, 27:29] = 200  # the bar of `bar`, in a wide image
    torch.manual_seed(0)
    turned = RandomAffine(20, 0)(wide)[:, 0]
    torch.manual_seed(0)
    square = RandomAffine(20, 0)(bar().repeat(300, 1, 1))
    torch.testing.assert_close(turned[:, :, 14:42], square, atol=0.5, rtol=0)
