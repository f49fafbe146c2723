import math

import pytest
import torch
import torch.nn.functional as functional
from scipy import stats
from torch import Tensor

from stn.data.distortions import (
    Clutter,
    ElasticDistortion,
    ProjectiveDistortion,
    Rotate,
    RotateAbout,
    RotateTranslateScale,
    Undistorted,
    Warp,
)
from stn.data.ink import MAX_SHARE, share_damaged
from stn.data.quadrilaterals import cross
from stn.data.randomness import normal, stream
from stn.running.building import instantiate

KEY = stream(0, "test")


def elastic(point_px: float = 1.5, scale: tuple[float, float] = (0.75, 1.0), **changes):
    arguments = {"points": (4, 4), "spline": "to_image", "size": (28, 28)} | changes
    return ElasticDistortion(scale_range=scale, point_px=point_px, **arguments)


def projective(
    corner_px: float = 5, scale: tuple[float, float] = (0.75, 1.0), size=(28, 28), frame=None
):
    return ProjectiveDistortion(
        scale_range=scale, corner_px=corner_px, min_area=0.1, frame=frame, size=size
    )


def similarity(max_deg: float = 45, scale: tuple[float, float] = (0.7, 1.2), size=(42, 42)):
    return RotateTranslateScale(max_deg=max_deg, scale_range=scale, size=size)


def clutter(num_patches: int, patch_px: int, size: tuple[int, int], overlap: str = "add"):
    return Clutter(num_patches=num_patches, patch_px=patch_px, overlap=overlap, size=size)


ALL = {
    "undistorted": Undistorted(size=(28, 28)),
    "undistorted_wide": Undistorted(size=[31, 44]),
    "rotate": Rotate(max_deg=90, size=(28, 28)),
    "rotate_wide": Rotate(max_deg=90, size=[31, 44]),
    "rotate_about": RotateAbout(max_deg=90, centre_deg=120, size=[31, 44]),
    "similarity": similarity(),
    "similarity_wide": similarity(size=(35, 51)),
    "projective": projective(),
    "projective_wide": projective(size=(31, 44)),
    "projective_frame": projective(size=(31, 44), frame=[36, 42]),
    "elastic": elastic(),
    "elastic_wide": elastic(size=(31, 44), points=(3, 5)),
    "elastic_to_digit": elastic(size=(31, 44), points=(3, 5), spline="to_digit"),
    "clutter": clutter(6, 6, (60, 60)),
    "clutter_wide": clutter(3, 5, (41, 70)),
    "clutter_none": clutter(0, 6, (60, 60)),
    "clutter_patches_hide": clutter(6, 6, (60, 60), "patches_hide"),
    "clutter_digit_hides": clutter(3, 5, (41, 70), "digit_hides"),
}
every = pytest.mark.parametrize("distort", ALL.values(), ids=ALL.keys())


def blob(x: float, y: float, num: int = 1) -> Tensor:
    """Copies of a digit that is one Gaussian spot at pixel (x, y)."""
    at = torch.arange(28.0)
    spot = torch.exp(-((at - x).square() + (at[:, None] - y).square()) / 4)
    return (255 * spot).round().byte().expand(num, 1, 28, 28).contiguous()


def centroids(images: Tensor) -> Tensor:
    """(B, 2): (x, y) of the brightness, in px from the image's centre."""
    height, width = images.shape[-2:]
    mass = images.sum((1, 2, 3))
    x = (images.sum(2)[:, 0] * (torch.arange(width) - (width - 1) / 2)).sum(1) / mass
    y = (images.sum(3)[:, 0] * (torch.arange(height) - (height - 1) / 2)).sum(1) / mass
    return torch.stack([x, y], dim=-1)


@every
def test_images_are_in_range_and_of_the_stated_size(distort, pool):
    images = distort(pool, torch.arange(300), KEY)
    assert images.shape == (300, 1, *distort.size)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.amax((1, 2, 3)).min() > 0.5


@every
def test_black_stays_black_and_the_pool_as_it_is(distort, pool):
    before = pool.clone()
    assert not distort(torch.zeros_like(pool), torch.arange(300), KEY).any()
    distort(pool, torch.arange(300), KEY)
    assert torch.equal(pool, before)


@every
def test_white_does_not_overflow(distort):
    white = torch.full((50, 1, 28, 28), 255, dtype=torch.uint8)
    assert distort(white, torch.arange(50), KEY).max() == 1


@every
def test_an_image_depends_on_its_sample_and_the_key_only(distort, pool):
    index = torch.arange(200)
    images = distort(pool, index, KEY)
    assert torch.equal(distort(pool, index, KEY), images)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    near = {"atol": 1e-4, "rtol": 0}  # a batch of another size or order may be summed otherwise
    torch.testing.assert_close(distort(pool, order, KEY), images[order], **near)
    torch.testing.assert_close(distort(pool, index[7:9], KEY), images[7:9], **near)
    if not isinstance(distort, Undistorted):
        other = distort(pool, index, stream(0, "test", epoch=1))
        assert ((other - images).abs().amax((1, 2, 3)) > 0.1).float().mean() > 0.95


@every
def test_an_empty_batch_gives_no_images(distort, pool):
    none = torch.empty(0, dtype=torch.int64)
    assert distort(pool, none, KEY).shape == (0, 1, *distort.size)


@pytest.mark.parametrize(
    "distort",
    [
        Rotate(max_deg=0, size=(28, 28)),
        similarity(0, (1, 1), (28, 28)),
        projective(0, (1, 1)),
        elastic(0, (1, 1)),
    ],
)
def test_nothing_drawn_is_nothing_distorted(distort, pool):
    index = torch.arange(20)
    torch.testing.assert_close(distort(pool, index, KEY), pool[:20] / 255, rtol=0, atol=1e-5)


def test_undistorted_is_the_digit_in_the_middle(pool):
    images = Undistorted(size=(31, 44))(pool, torch.arange(5), KEY)
    assert torch.equal(images[:, :, 1:29, 8:36], pool[:5] / 255)
    assert images.sum() == images[:, :, 1:29, 8:36].sum()


def test_a_digit_keeps_its_scale_and_middle_in_a_larger_image(pool):
    index = torch.arange(20)
    for make in (lambda size: Rotate(max_deg=90, size=size), lambda size: projective(size=size)):
        small, large = make((28, 28))(pool, index, KEY), make((34, 50))(pool, index, KEY)
        torch.testing.assert_close(large[:, :, 3:31, 11:39], small, rtol=0, atol=1e-4)


def test_rotation_is_uniform_in_its_range_about_the_centre():
    spots = Rotate(max_deg=90, size=(28, 28))(blob(21.5, 13.5, 4000), torch.arange(4000), KEY)
    x, y = centroids(spots).double().T
    assert (torch.hypot(x, y) - 8).abs().max() < 0.1
    angle = torch.rad2deg(torch.atan2(-y, x))  # counter-clockwise, as seen
    assert stats.kstest(angle.numpy(), "uniform", args=(-90, 180)).pvalue > 1e-4


def test_a_rotation_moves_the_digit_counter_clockwise_by_the_drawn_angle():
    from stn.data.randomness import uniform

    index = torch.arange(50)
    spots = Rotate(max_deg=90, size=(28, 28))(blob(21.5, 13.5, 50), index, KEY)
    x, y = centroids(spots).T
    drawn = 180 * uniform(KEY, index, 1)[:, 0] - 90
    torch.testing.assert_close(torch.rad2deg(torch.atan2(-y, x)), drawn, rtol=0, atol=1)


def test_scale_is_uniform_in_its_range():
    spots = similarity()(blob(13.5, 13.5, 2000), torch.arange(2000), KEY).double()
    scale = (spots.sum((1, 2, 3)) / spots.sum((1, 2, 3)).mean()).sqrt()
    scale *= math.sqrt((0.7**2 + 0.7 * 1.2 + 1.2**2) / 3)  # the root mean square of the range
    assert stats.kstest(scale.numpy(), "uniform", args=(0.69, 0.52)).pvalue > 1e-6
    assert scale.min() > 0.68
    assert scale.max() < 1.22


@pytest.mark.parametrize("size", [(42, 42), (36, 50)])
def test_the_scaled_box_is_placed_anywhere_inside(size):
    white = torch.full((2000, 1, 28, 28), 255, dtype=torch.uint8)
    scale = 0.9
    images = similarity(0, (scale, scale), size)(white, torch.arange(2000), KEY)
    # A box of side 28 s, its border fading out over a pixel of the digit: all of it is there.
    mass = images.sum((1, 2, 3))
    assert (mass - mass.mean()).abs().max() < 0.02 * mass.mean()
    for along, side in zip(centroids(images).double().T, reversed(size), strict=True):
        room = (side - 28 * scale) / 2
        assert stats.kstest(along.numpy(), "uniform", args=(-room, 2 * room)).pvalue > 1e-4


def test_a_digit_too_large_for_its_image_stays_in_the_middle():
    images = similarity(0, (1.2, 1.2), (28, 28))(blob(13.5, 13.5, 20), torch.arange(20), KEY)
    assert centroids(images).abs().max() < 1e-3


def test_corners_move_as_told_and_never_fold():
    corners = projective(scale=(1, 1)).corners(torch.arange(20_000), KEY)
    assert corners.shape == (20_000, 4, 2)
    area = cross(corners.roll(-1, 1) - corners, corners.roll(1, 1) - corners)
    assert area.amin() > 0.0999 * 27**2
    moves = corners - 13.5 * torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    drawn = 5 * normal(KEY, torch.arange(20_000), 8).view(-1, 4, 2)
    untouched = (moves - drawn).abs().amax((1, 2)) < 1e-4
    assert 0.97 < untouched.float().mean() < 1
    shortened = moves[~untouched] / drawn[~untouched]
    assert (shortened.flatten(1).std(1) < 1e-2).all()
    assert (shortened < 1).all()


def test_a_projective_distortion_carries_the_digit_to_its_corners():
    distort, index = projective(size=(60, 60)), torch.arange(40)
    corners = distort.corners(index, KEY)
    white = torch.full((40, 1, 28, 28), 255, dtype=torch.uint8)
    images = distort(white, index, KEY)
    ahead, behind = corners.roll(-1, 1) - corners, corners.roll(1, 1) - corners
    area = cross(ahead, behind)[:, ::2].sum(1) / 2
    # The quadrilateral joins the centres of the border pixels; a fading rim lies outside of it.
    rim = ahead.norm(dim=-1).sum(1)
    covered = images.sum((1, 2, 3))
    assert (covered > area).all()
    assert (covered < area + 1.5 * rim).all()
    middle = corners.mean(1) + 29.5
    x, y = middle.round().long().T
    assert (images[index, 0, y, x] > 0.99).all()


def homographies(squares: Tensor, quads: Tensor) -> Tensor:
    """(B, 3, 3) that carry four points (B, 4, 2) to four others, from their linear equations."""
    (x, y), (u, v) = squares.double().unbind(-1), quads.double().unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    of_u = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], dim=-1)
    of_v = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], dim=-1)
    entries = torch.linalg.solve(torch.cat([of_u, of_v], 1), torch.cat([u, v], 1))
    return torch.cat([entries, torch.ones_like(entries[:, :1])], dim=1).view(-1, 3, 3)


def test_a_frame_carries_the_digit_within_it():
    frame, scale, index = (36, 42), 0.9, torch.arange(60)
    distort = projective(4, (scale, scale), (60, 70), frame)
    square = torch.tensor([[-20.5, -17.5], [20.5, -17.5], [20.5, 17.5], [-20.5, 17.5]])
    matrices = homographies(square.expand(60, 4, 2), distort.corners(index, KEY))
    for x, y in ((13.5, 13.5), (18.0, 9.0), (10.0, 20.0)):
        at = torch.tensor([scale * (x - 13.5), scale * (y - 13.5), 1], dtype=torch.float64)
        u, v, w = (matrices @ at).T
        seen = centroids(distort(blob(x, y, 60), index, KEY))
        torch.testing.assert_close(seen, torch.stack([u / w, v / w], 1).float(), rtol=0, atol=0.35)


def test_the_digits_own_corners_are_those_of_a_frame_of_its_size(pool):
    index = torch.arange(40)
    own, frame = projective(3, (1, 1)), projective(3, (1, 1), frame=(28, 28))
    torch.testing.assert_close(own(pool, index, KEY), frame(pool, index, KEY), rtol=0, atol=1e-4)


def test_scales_agree_between_projective_and_elastic(pool):
    index = torch.arange(20)
    shrunk = projective(0, (0.8, 0.8))(pool, index, KEY)
    for spline in ("to_image", "to_digit"):
        images = elastic(0, (0.8, 0.8), spline=spline)(pool, index, KEY)
        torch.testing.assert_close(images, shrunk, rtol=0, atol=1e-4)


@pytest.mark.parametrize("y", [1, 2])
@pytest.mark.parametrize("x", [1, 2])
def test_an_elastic_distortion_carries_each_control_point_where_it_moves(x: int, y: int):
    index, scale = torch.arange(60), 0.8
    place = torch.tensor([9.0 * x, 9.0 * y]) - 13.5  # of a point within, in px from the centre
    move = 1.5 * normal(KEY, index, 32).view(-1, 4, 4, 2)[:, y, x]
    grid = elastic(scale=(scale, scale)).grid(index, KEY).permute(0, 3, 1, 2)
    moved = ((place + move) / 13.5)[:, None, None]
    shown = functional.grid_sample(grid, moved, align_corners=True)[:, :, 0, 0]
    torch.testing.assert_close(shown * 13.5, (place / scale).expand(60, 2), rtol=0, atol=0.25)


def test_a_spline_to_the_digit_shows_at_each_control_point_what_was_a_move_before():
    index, scale = torch.arange(300), 0.8
    ramp = (9 * torch.arange(28, dtype=torch.uint8)).expand(300, 1, 28, 28)  # tells the place in x
    columns, rows = (
        elastic(scale=(scale, scale), spline="to_digit")(pool.contiguous(), index, KEY) * 255 / 9
        for pool in (ramp, ramp.mT)
    )
    moves = 1.5 * normal(KEY, index, 32).view(-1, 4, 4, 2)
    for y, x in ((1, 1), (1, 2), (2, 1), (2, 2)):  # the points within, at 9 and 18 px
        place = torch.tensor([9.0 * x, 9.0 * y]) - 13.5
        source = (place - moves[:, y, x]) / scale + 13.5
        seen = torch.stack([images[:, 0, 9 * y, 9 * x] for images in (columns, rows)], dim=-1)
        torch.testing.assert_close(seen, source, rtol=0, atol=1e-3)


def blocks(values: list[int]) -> Tensor:
    """Digits that are full of one value each."""
    return torch.tensor(values, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 28, 28)


def test_clutter_places_the_digit_anywhere_untouched():
    places = clutter(0, 6, (50, 60))
    images = places(blocks([255] * 3000), torch.arange(3000), KEY)
    assert (images.sum((1, 2, 3)) == 784).all()
    first = images.flatten(1).argmax(1)
    for drawn, num in ((first // 60, 23), (first % 60, 33)):
        assert stats.chisquare(torch.bincount(drawn, minlength=num).numpy()).pvalue > 1e-4


def test_patches_are_of_other_digits_and_add_up():
    pool = blocks([0, 1, 1, 1]).contiguous()
    images = (clutter(6, 6, (60, 60))(pool, torch.zeros(500, dtype=torch.int64), KEY) * 255).round()
    assert (images[0].sum() == 6 * 36).all()  # the digit itself is black, all patches are others
    assert images.max() >= 1
    own = clutter(6, 6, (60, 60))(
        blocks([9, 0, 0, 0]).contiguous(), torch.zeros(5, dtype=torch.int64), KEY
    )
    assert ((own * 255).round().sum((1, 2, 3)) == 9 * 784).all()


def test_where_things_overlap_brightness_is_cut_off_at_white():
    images = clutter(8, 20, (30, 30))(blocks([100] * 9).contiguous(), torch.arange(9), KEY)
    values = (images * 255).round().unique().tolist()
    assert set(values) <= {0, 100, 200, 255}
    assert 255 in values


def test_what_hides_what():
    pool, index = blocks([100, 200, 200]).contiguous(), torch.zeros(1, dtype=torch.int64)
    for k in range(50):
        added, on_top, below = (
            (clutter(1, 9, (40, 50), overlap)(pool, index, stream(0, "hide", k)) * 255).round()
            for overlap in ("add", "patches_hide", "digit_hides")
        )
        meet = added == 255  # 300, cut off at white
        assert torch.equal(on_top, torch.where(meet, 200, added))
        assert torch.equal(below, torch.where(meet, 100, added))
        assert k > 0 or meet.any()


def test_black_hides_too():
    pool = blocks([100] + 400 * [0]).contiguous()
    index = torch.zeros(1, dtype=torch.int64)
    for overlap, least, most in (("patches_hide", 784 - 4 * 81, 783), ("digit_hides", 784, 784)):
        inked = [
            int((clutter(4, 9, (30, 30), overlap)(pool, index, stream(0, "black", k)) > 0).sum())
            for k in range(50)
        ]
        assert least <= min(inked) <= max(inked) <= most


def test_later_patches_hide_earlier_ones():
    pool, index = blocks(list(range(1, 201))).contiguous(), torch.arange(200)
    few, more = (
        (clutter(num, 25, (31, 33), "patches_hide")(pool, index, KEY) * 255).round()
        for num in (3, 4)
    )
    changed = (few != more).flatten(1).sum(1)
    assert (changed == 625).float().mean() > 0.9  # but where the last is of the same brightness


def test_patches_are_cut_and_placed_everywhere():
    pool = torch.zeros(4000, 1, 28, 28, dtype=torch.uint8)
    pool[2000:] = torch.arange(28)[:, None] + 100  # rows tell where a patch was cut
    distort, black = clutter(1, 6, (40, 40)), torch.arange(2000)
    of_keys = [distort(pool, black, stream(0, "cut", k)) for k in range(2)]
    images = (torch.cat(of_keys) * 255).round().long().flatten(1)
    images = images[images.any(1)]  # nor is a patch seen that is of a black digit
    assert len(images) > 1900
    cut = torch.where(images > 0, images, 999).amin(1) - 100
    place = (images > 0).long().argmax(1)
    assert stats.chisquare(torch.bincount(cut, minlength=23).numpy()).pvalue > 1e-4
    for drawn in (place // 40, place % 40):
        assert stats.chisquare(torch.bincount(drawn, minlength=35).numpy()).pvalue > 1e-4


def made_digits(num: int) -> Tensor:
    """Slanted rings of all widths that fill the 20 x 20 px in which MNIST has its digits."""
    width, slant = torch.rand(2, num, 1, 1, generator=torch.Generator().manual_seed(0))
    at = torch.arange(28) - 13.5
    x = at - (slant - 0.5) * at[:, None]
    radius = torch.hypot(x / (3 + 6 * width), at[:, None] / 9)
    within = (at.abs() < 10) & (at[:, None].abs() < 10)
    return (255 * (within & ((radius - 0.9).abs() < 0.15))).byte()[:, None]


COLUMNS = ("mnist", "mnist_r", "mnist_rts", "mnist_p", "mnist_e", "mnist_tc", "mnist_rot12k")


@pytest.mark.parametrize(("column", "num"), [*((c, 10_000) for c in COLUMNS), ("mnist_sim2", 2000)])
def test_ink_range_and_centre_of_the_images_of_a_column(column, num, compose_train):
    distort = instantiate(compose_train(f"data={column}").data.module.distortion)
    pool = made_digits(num)
    centres, damaged = [], []
    for part in torch.arange(len(pool)).split(500):
        images = distort(pool, part, KEY)
        assert 0 <= images.min() <= images.max() <= 1
        if isinstance(distort, Warp):
            damaged.append(share_damaged(distort, pool, part, KEY))
        else:
            assert (images.sum((1, 2, 3)) >= pool[part].sum((1, 2, 3)) / 255 - 1e-3).all()
        centres.append(centroids(images).double())
    assert not damaged or sum(damaged) / len(damaged) < MAX_SHARE
    found = torch.cat(centres)
    assert found.abs().amax() < max(distort.size) / 2
    assert (found.mean(0).abs() < 5 * found.std(0) / len(pool) ** 0.5 + 0.02).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="add, patches_hide, digit_hides, got 'hide'"):
        clutter(6, 6, (60, 60), "hide")
    with pytest.raises(ValueError, match="to_image, to_digit, got 'both'"):
        elastic(spline="both")
    with pytest.raises(ValueError, match="at least two digits"):
        ALL["clutter"](torch.zeros(1, 1, 28, 28, dtype=torch.uint8), torch.tensor([0]), KEY)
    with pytest.raises(ValueError, match=r"\(27, 60\)"):
        Undistorted(size=(27, 60))
    with pytest.raises(ValueError, match=r"\(1.2, 0.7\)"):
        similarity(scale=(1.2, 0.7))
    with pytest.raises(ValueError, match="patch_px"):
        clutter(1, 29, (60, 60))
    with pytest.raises(ValueError, match="min_area"):
        ProjectiveDistortion(scale_range=(1, 1), corner_px=5, min_area=0, frame=None, size=(28, 28))


@pytest.mark.parametrize(("centre_deg", "quarters"), [(0, 0), (90, 1), (180, 2), (-90, 3)])
def test_a_rotation_about_another_pose_turns_what_the_other_draws(
    centre_deg: float, quarters: int
) -> None:
    pool = torch.randint(256, (6, 1, 28, 28), dtype=torch.uint8)
    index = torch.arange(6)
    plain = Rotate(max_deg=70, size=(29, 29))(pool, index, KEY)
    turned = RotateAbout(max_deg=70, centre_deg=centre_deg, size=(29, 29))(pool, index, KEY)
    torch.testing.assert_close(turned, plain.rot90(quarters, (2, 3)), atol=1e-4, rtol=0)
