"""The page in a real browser: it runs the networks, follows the hand, and everybody can use it."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import stn
from tests.browser import in_node_path
from tests.demo.conftest import SHOWN, WEIGHTS, served

SECOND = 1000  # ms
FRAMES_A_SECOND = 20
ROUND_S = 2  # of dragging
P = "projected (P)"
WAIT_MS = 60 * SECOND


class Page:
    """The demo, opened anew in a tab; what its console says is kept in `said`."""

    def __init__(self, chromium: Any, address: str, width: int = 1280, scheme: str = "light"):
        viewport = {"width": width, "height": 900}
        self.context = chromium.new_context(
            viewport=viewport, color_scheme=scheme, has_touch=True, reduced_motion="reduce"
        )
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(WAIT_MS)
        self.said: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("request", self._only_here(address))
        self.tab.goto(address)

    def _only_here(self, address: str) -> Callable[[Any], None]:
        def note(request: Any) -> None:
            if not request.url.startswith((address, "data:", "blob:")):
                self.said.append(request.url)

        return note

    def answered(self, after: int = 0) -> "Page":
        """Wait until there are more answers, and no more come."""
        self.tab.wait_for_function(
            "after => Number(document.getElementById('speed').dataset.answers ?? 0) > after"
            " && document.body.ariaBusy === 'false'",
            arg=after,
        )
        return self

    def choose(self, column: str) -> "Page":
        """Choose what the networks were trained on."""
        self.tab.get_by_label(column).check(force=True)
        return self.answered()

    def answers(self) -> int:
        return int(self.tab.locator("#speed").get_attribute("data-answers") or 0)

    def does(self, action: Callable[[], object]) -> None:
        """Do something and wait for the answer to it."""
        before = self.answers()
        action()
        self.answered(after=before)

    def click(self, selector: str, nth: int = 0) -> None:
        self.does(self.tab.locator(selector).nth(nth).click)

    def theta(self) -> list[float]:
        cells = self.tab.locator("#theta td").all_inner_texts()
        return [float(cell.replace("−", "-")) for cell in cells]

    def classes(self) -> torch.Tensor:
        """Percent of CNN and ST-CNN (2, 10)."""
        cells = [float(text) for text in self.tab.locator("#classes b").all_inner_texts()]
        return torch.tensor(cells).view(10, 2).T

    def pixels(self, canvas: str) -> torch.Tensor:
        """Brightness 0 to 255 of a picture (H, W)."""
        code = """picture => {
            const side = picture.width;
            const context = new OffscreenCanvas(side, side).getContext("2d");
            context.drawImage(picture, 0, 0);
            const { data } = context.getImageData(0, 0, side, side);
            return Array.from(data).filter((_, i) => i % 4 === 0);
        }"""
        values = torch.tensor(self.tab.locator(canvas).evaluate(code), dtype=torch.float32)
        return values.view(round(len(values) ** 0.5), -1)

    def handle(self, nth: int) -> tuple[float, float]:
        """Where the middle of a handle is in the tab."""
        box = self.tab.locator(".handle").nth(nth).bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Page]:
    page = Page(chromium, address).answered().choose(P)
    yield page
    page.context.close()
    assert page.said == []  # whatever a test did, nothing was said and nothing asked for elsewhere


@pytest.mark.parametrize("column", SHOWN)
def test_every_hand_and_slider_changes_the_image_and_pytorch_answers_alike(
    page: Page, column: str
) -> None:
    assert page.tab.locator("main").is_visible()
    assert not page.tab.locator("#message").is_visible()
    page.choose(column).click("#reset")
    compare(page, SHOWN[column], slack=10)
    for i in range(min(page.tab.locator(".handle").count(), 4)):
        before, (x, y) = page.pixels("#input"), page.handle(i)
        page.does(lambda x=x, y=y: by_mouse(page.tab, (x, y), (x + 9, y + 14)))
        assert not torch.equal(page.pixels("#input"), before)
        compare(page, SHOWN[column], slack=10)
    for slider in page.tab.get_by_role("slider").all():
        before = page.pixels("#input")
        page.does(lambda slider=slider: slider.press("Home"))
        assert not torch.equal(page.pixels("#input"), before)
        compare(page, SHOWN[column], slack=10)


def test_clutter_comes_at_random_and_goes_at_reset(page: Page) -> None:
    column = "translated, cluttered (TC)"
    page.choose(column).click("#reset")
    alone = page.pixels("#input")
    brightest = alone.sum()
    for _ in range(3):  # one time in some hundred all six patches are cut where digits are black
        page.click("#random")
        assert not torch.equal(page.pixels("#input"), alone)
        brightest = max(brightest, page.pixels("#input").sum())
    assert brightest > alone.sum()
    compare(page, SHOWN[column], slack=10)
    page.click("#reset")
    assert torch.equal(page.pixels("#input"), alone)


def test_undistorted_digits_are_turned_and_it_is_said_that_this_is_new(page: Page) -> None:
    note = page.tab.locator("#note")
    assert not note.is_visible()
    page.choose("undistorted (MNIST)")
    assert note.inner_text() == "Turned digits are new to these networks."
    upright = page.pixels("#input")
    page.does(lambda: page.tab.get_by_role("slider").press("End"))
    assert torch.equal(page.pixels("#input"), upright.rot90())


def test_a_column_chosen_while_another_loads_is_answered(page: Page) -> None:
    loading: list[Any] = []
    page.tab.route("**/st_cnn-tps-mnist_e-*.onnx", lambda route: loading.append(route))
    page.tab.get_by_label("elastic (E)").check(force=True)
    while not loading:
        page.tab.wait_for_timeout(20)
    page.tab.get_by_label(P).check(force=True)
    before = page.answers()
    loading[0].continue_()
    page.answered(after=before)
    page.click("#reset")
    assert not page.tab.locator("#message").is_visible()
    compare(page, SHOWN[P])


def compare(page: Page, names: Sequence[str], slack: float = 1.0) -> None:
    """Compare what a CNN and an ST-CNN tell of the page's image with what PyTorch computes.

    Args:
        names: of the networks, the CNN first.
        slack: how much farther from each other they may be than the digits that are shown. The
            networks are given numbers, of which the picture shows the nearest of 256.
    """
    U = page.pixels("#input")[None, None] / 255
    assert U.std() > 0.05
    for i, name in enumerate(names):
        network = stn.load(next(WEIGHTS.glob(f"{name}*")))
        with torch.no_grad():
            wanted = 100 * network(U).softmax(1)[0]
        torch.testing.assert_close(page.classes()[i], wanted, atol=0.0501 * slack, rtol=0)
    with torch.no_grad():
        theta, V = network.transformer.theta(U)[0], network.transformer(U)[0, 0]
    if len(theta) == 8:  # of a homography the page shows the ninth number, too
        theta = torch.cat([theta, torch.ones(1)])
    torch.testing.assert_close(torch.tensor(page.theta()), theta, atol=0.00501 * slack, rtol=0)
    torch.testing.assert_close(page.pixels("#output"), 255 * V, atol=slack, rtol=0)


def by_mouse(tab: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    tab.mouse.move(*start)
    tab.mouse.down()
    tab.mouse.move(*end, steps=4)
    tab.mouse.up()


def by_touch(tab: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    finger = tab.context.new_cdp_session(tab)
    steps = [[a + (b - a) * i / 4 for a, b in zip(start, end, strict=True)] for i in range(5)]
    for i, (x, y) in enumerate(steps):
        touch = {"type": "touchMove" if i else "touchStart", "touchPoints": [{"x": x, "y": y}]}
        finger.send("Input.dispatchTouchEvent", touch)
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.parametrize("column", ["projected (P)", "elastic (E)"])
@pytest.mark.parametrize("drag", [by_mouse, by_touch])
def test_a_dragged_handle_changes_image_theta_and_classes(
    page: Page, column: str, drag: Callable[..., None]
) -> None:
    page.choose(column).click("#reset")
    image, theta, classes = page.pixels("#input"), page.theta(), page.classes()
    x, y = page.handle(0)
    page.does(lambda: drag(page.tab, (x, y), (x + 20, y + 25)))
    assert page.handle(0) == pytest.approx((x + 20, y + 25), abs=2)
    assert not torch.equal(page.pixels("#input"), image)
    assert page.theta() != theta
    assert not torch.equal(page.classes(), classes)
    assert page.tab.evaluate("scrollY") == 0


def test_handles_obey_the_keyboard(page: Page) -> None:
    page.click("#reset")
    theta, (x, y) = page.theta(), page.handle(2)
    for _ in range(8):
        page.does(lambda: page.tab.locator(".handle").nth(2).press("ArrowLeft"))
    assert page.handle(2)[0] < x - 5
    assert page.handle(2)[1] == pytest.approx(y)
    assert page.theta() != theta


@pytest.mark.parametrize(
    "column", ["rotated, translated, scaled (RTS)", "translated, cluttered (TC)"]
)
def test_answers_come_fast_enough_to_drag(page: Page, column: str) -> None:
    """As many as were shown while a hand moved, in the best of some rounds.

    A machine that others use stops a page at times.
    """
    page.choose(column)
    x, y = page.handle(0)
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    rates = []
    while len(rates) < 8 and max(rates, default=0) < FRAMES_A_SECOND:
        before, start, i = page.answers(), time.monotonic(), 0
        while time.monotonic() < start + ROUND_S:
            page.tab.mouse.move(x + i % 8, y + i % 5)
            i += 1
        rates.append((page.answers() - before) / (time.monotonic() - start))
    page.tab.mouse.up()
    assert max(rates) >= FRAMES_A_SECOND, rates


OUT = """() => [...document.querySelectorAll(".handle, canvas, button, table, label")]
    .map((element) => [element.getBoundingClientRect(), element.outerHTML])
    .filter(([box]) => box.width === 0 || box.left < 0 || box.right > innerWidth)"""


# Texts whose boxes overlap or all but do.
TOUCHING = """selector => {
    const boxes = [...document.querySelectorAll(selector)].map((cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return range.getBoundingClientRect();
    });
    const touches = (a, b) => a.top === b.top && b.left < a.right + 1;
    return boxes.filter((box, i) => i && touches(boxes[i - 1], box));
}"""


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (800, "light"), (1920, "dark")])
def test_nothing_is_cut_off_and_nobody_shut_out(
    chromium: Any, address: str, width: int, scheme: str
) -> None:
    page = Page(chromium, address, width, scheme).answered()
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    assert page.tab.evaluate(OUT) == []
    page.tab.add_script_tag(path=in_node_path("axe-core/axe.min.js"))
    results = page.tab.evaluate("axe.run()")
    assert len(results["passes"]) > 10
    serious = [v for v in results["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)[:3000]
    page.context.close()


def test_on_a_small_screen_everything_fits_and_the_answer_is_in_sight_of_the_hand(
    chromium: Any, address: str
) -> None:
    page = Page(chromium, address, 320).answered()
    for column in SHOWN:
        page.choose(column)
        for choice in page.tab.locator("#transforms input").all():
            choice.check(force=True)
            page.answered()
            assert page.tab.evaluate("document.documentElement.scrollWidth") <= 320
            assert page.tab.evaluate(OUT) == []
            numbers = page.tab.locator("#theta td").all_inner_texts()
            assert page.tab.evaluate(TOUCHING, "#theta td") == [], numbers
        stage, said = (
            page.tab.locator(f"#{name}").bounding_box() for name in ("stage", "verdicts")
        )
        assert said["y"] + said["height"] - stage["y"] < 600
        page.click("#reset")
        for line, percent in zip(
            page.tab.locator("#verdicts span").all(), page.classes(), strict=True
        ):
            seen = f"sees {percent.argmax()}, {percent.max():.1f} %"
            assert line.inner_text().endswith(seen)
    page.context.close()


def test_a_digit_can_be_taken_and_drawn(page: Page) -> None:
    page.click("#reset")
    page.click("#digits button", 7)
    taken, buttons = page.pixels("#input"), page.tab.locator("#digits button")
    assert buttons.nth(7).get_attribute("aria-pressed") == "true"
    page.click("#clear")
    assert not page.pixels("#input").any()
    assert page.tab.locator("#digits [aria-pressed=true]").count() == 0
    box = page.tab.locator("#pad").bounding_box()
    x, y = box["x"] + 60, box["y"] + 40
    page.does(lambda: by_mouse(page.tab, (x, y), (x + 10, y + 100)))
    drawn = page.pixels("#input")
    assert not torch.equal(drawn, taken)
    rows, columns = ((drawn > 128).any(axis).nonzero() for axis in (1, 0))
    height = int(rows.max() - rows.min()) + 1
    assert 17 <= height <= 21  # of the size of MNIST's digits, however large it was drawn
    assert columns.max() - columns.min() < height / 2
    axes = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    centre = [float((drawn * axis).sum() / drawn.sum()) for axis in axes]
    assert centre == pytest.approx([13.5, 13.5], abs=0.3)


def test_random_and_reset(page: Page) -> None:
    page.click("#reset")
    neutral = page.pixels("#input")
    page.click("#random")
    assert not torch.equal(page.pixels("#input"), neutral)
    page.click("#reset")
    assert torch.equal(page.pixels("#input"), neutral)


def copied(folder: Path, to: Path, columns: object = None) -> Path:
    """The demo with another list of networks, or without one."""
    shutil.copytree(folder, to, symlinks=True, ignore=shutil.ignore_patterns("networks.json"))
    if columns is not None:
        (to / "networks.json").write_text(json.dumps(columns))
    return to


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without("networks.json"), "networks.json of this folder is missing or damaged"),
        (lambda folder: (folder / "networks.json").write_text("[]"), "networks.json"),
        (lambda folder: (folder / "networks.json").write_text('[{"side'), "networks.json"),
        (without("runtime"), "runtime/ of this folder is missing"),
        (lambda folder: [p.unlink() for p in folder.glob("*.onnx")], "A network could not be run"),
    ],
    ids=["no list", "an empty list", "a torn list", "no runtime", "no networks"],
)
def test_what_is_missing_is_said_with_the_command_that_makes_it(
    chromium: Any, demo_folder: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    folder = tmp_path / "demo"
    columns = json.loads((demo_folder / "networks.json").read_text())
    damage(copied(demo_folder, folder, columns))
    for address in served(folder):
        page = Page(chromium, address)
        message = page.tab.locator("#message", has_text=said)
        message.wait_for()
        assert "make demo, or python -m stn.demo, makes it anew." in message.inner_text()
        page.context.close()


def test_names_are_text(chromium: Any, demo_folder: Path, tmp_path: Path) -> None:
    columns = json.loads((demo_folder / "networks.json").read_text())
    hostile = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    columns[0]["label"] = hostile
    for network in columns[0]["networks"]:
        network["name"] = network["label"] = hostile
    for address in served(copied(demo_folder, tmp_path / "demo", columns)):
        page = Page(chromium, address).answered()
        assert hostile in page.tab.locator("#columns").inner_text()
        assert page.tab.title() != "run"
        assert page.tab.locator("main img, main script").count() == 0
        page.context.close()
