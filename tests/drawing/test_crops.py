import pytest
import torch

from stn.drawing.crops import crop_sheet


def test_every_image_is_drawn_with_all_that_is_read() -> None:
    A = torch.eye(3).repeat(2, 2, 1, 1)
    A[0, :, 0] = torch.tensor([0.5, 0, 0.3])
    figure = crop_sheet(torch.rand(2, 1, 9, 12), A, ["a", "b"], "both")
    shown = [axes for axes in figure.axes if axes.get_images()]
    assert [axes.get_title() for axes in shown] == ["a", "b"]
    for axes in shown:
        assert len(axes.lines) == 2
        x = axes.lines[0].get_xdata()  # of 12 columns, from -0.2 to 0.8
        assert [min(x), max(x)] == pytest.approx([0.4 * 11, 0.9 * 11])
