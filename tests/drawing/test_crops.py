import pytest
import torch

from stn.drawing.crops import crop_sheet, mean_crop_sheet


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


def test_the_mean_crop_is_the_mean_of_the_edges_each_way() -> None:
    points = torch.tensor([[0.2, 0.3], [float("nan"), float("nan")], [0.8, 0.5]])
    ways = [(points, torch.rand(2, n, 4), torch.rand(2, n, 4)) for n in (5, 3)]
    figure = mean_crop_sheet(("beak", "leg", "tail"), ways, "birds")
    assert [axes.get_title() for axes in figure.axes] == ["5 images", "3 images"]
    for axes, (_, before, after) in zip(figure.axes, ways, strict=True):
        assert [text.get_text() for text in axes.texts] == ["beak", "tail"]
        outlines = [line for line in axes.lines if len(line.get_xdata()) == 5]
        for line, edges in zip(outlines, (before[0], after[0], before[1], after[1]), strict=True):
            left, top, right, bottom = edges.mean(dim=0).tolist()
            assert [*line.get_xdata()[:2], *line.get_ydata()[1:3]] == [left, right, top, bottom]
