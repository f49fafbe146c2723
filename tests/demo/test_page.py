"""The page in a real browser: it runs the networks, follows the hand, and everybody can use it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import stn
from tests.demo.conftest import SHOWN, WEIGHTS, served

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.interaction import POINTER_TOUCH
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

WAIT_S = 60
SECOND = 1000  # ms
FRAMES_A_SECOND = 20


class Page:
    """The demo, opened anew."""

    def __init__(self, chromium: Any, address: str, width: int = 1280) -> None:
        self.browser = chromium
        self.browser.get_log("browser")  # what earlier pages said
        self.resize(width)
        self.browser.get(address)
        self.answered(after=0)

    def resize(self, width: int) -> None:
        shape = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)

    def all(self, selector: str) -> list[Any]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def script(self, code: str, *arguments: object) -> Any:
        return self.browser.execute_script(code, *arguments)

    def answers(self) -> int:
        return int(self.one("#speed").get_attribute("data-answers") or 0)

    def answered(self, after: int) -> None:
        """Wait until there are more answers, and no more come."""
        WebDriverWait(self.browser, WAIT_S).until(lambda _: self.answers() > after)
        WebDriverWait(self.browser, WAIT_S).until(
            lambda _: self.script("return document.body.ariaBusy === 'false'")
        )

    def does(self, action: Callable[[], object]) -> None:
        """Do something and wait for the answer to it."""
        before = self.answers()
        action()
        self.answered(after=before)

    def theta(self) -> list[float]:
        return [float(td.text.replace("−", "-")) for td in self.all("#theta td")]

    def classes(self) -> torch.Tensor:
        """Percent of CNN and ST-CNN (2, 10)."""
        cells = [float(b.get_attribute("textContent")) for b in self.all("#classes b")]
        return torch.tensor(cells).view(10, 2).T

    def pixels(self, canvas: str) -> torch.Tensor:
        """Brightness 0 to 255 of a picture (H, W)."""
        code = """const picture = document.querySelector(arguments[0]), side = picture.width;
            const context = new OffscreenCanvas(side, side).getContext("2d");
            context.drawImage(picture, 0, 0);
            const { data } = context.getImageData(0, 0, side, side);
            return [side, Array.from(data).filter((_, i) => i % 4 === 0)];"""
        side, values = self.script(code, canvas)
        return torch.tensor(values, dtype=torch.float32).view(-1, side)

    def said(self) -> list[str]:
        """Errors and warnings of the console."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def choose(self, group: str, label: str) -> None:
        (radio,) = [e for e in self.all(f"#{group} label") if e.text == label]
        button = radio.find_element(By.TAG_NAME, "input")
        if not button.is_selected():
            self.does(button.click)


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Page]:
    page = Page(chromium, address)
    yield page
    assert page.said() == []  # whatever a test did, the console is silent


def test_the_page_answers_as_pytorch_does(page: Page) -> None:
    assert page.one("main").is_displayed()
    assert not page.one("#message").is_displayed()
    page.does(page.one("#reset").click)  # undistorted: of P, the image is the digit itself
    U = page.pixels("#input")[None, None] / 255
    assert U.std() > 0.1
    for i, name in enumerate(SHOWN[:2]):
        network = stn.load(next(WEIGHTS.glob(f"{name}*")))
        with torch.no_grad():
            wanted = 100 * network(U).softmax(1)[0]
        torch.testing.assert_close(page.classes()[i], wanted, atol=0.0501, rtol=0)
    with torch.no_grad():
        theta, V = network.transformer.theta(U)[0], network.transformer(U)[0, 0]
    torch.testing.assert_close(torch.tensor(page.theta()), theta, atol=0.00501, rtol=0)
    torch.testing.assert_close(page.pixels("#output"), 255 * V, atol=1, rtol=0)


@pytest.mark.parametrize("column", ["projected (P)", "elastic (E)"])
@pytest.mark.parametrize("pointer", ["mouse", "touch"])
def test_a_dragged_handle_changes_image_theta_and_classes(
    page: Page, column: str, pointer: str
) -> None:
    page.choose("columns", column)
    page.does(page.one("#reset").click)
    image, theta, classes = page.pixels("#input"), page.theta(), page.classes()
    handle = page.all(".handle")[0]
    device = PointerInput(POINTER_TOUCH, "finger") if pointer == "touch" else None
    actions = ActionBuilder(page.browser, mouse=device) if device else ActionBuilder(page.browser)
    actions.pointer_action.move_to(handle).pointer_down().move_by(30, 40).move_by(20, 10)
    actions.pointer_action.pointer_up()
    page.does(actions.perform)
    assert not torch.equal(page.pixels("#input"), image)
    assert page.theta() != theta
    assert not torch.equal(page.classes(), classes)
    assert page.script("return window.scrollY") == 0


def test_handles_obey_the_keyboard(page: Page) -> None:
    page.does(page.one("#reset").click)
    theta, place = page.theta(), page.all(".handle")[2].rect
    page.does(lambda: page.all(".handle")[2].send_keys(Keys.ARROW_LEFT * 8))
    assert page.all(".handle")[2].rect["x"] < place["x"]
    assert page.all(".handle")[2].rect["y"] == place["y"]
    assert page.theta() != theta


def test_answers_come_fast_enough_to_drag(page: Page, record_property: Any) -> None:
    """The median: a machine that others use stops a page now and then."""
    handle = page.all(".handle")[0]
    for _ in range(5):
        actions = ActionChains(page.browser, duration=200).click_and_hold(handle)
        for step in (12, -12, 8, -8):
            actions = actions.move_by_offset(step, step)
        page.does(actions.release().perform)
    assert page.answers() > 10
    median_ms = float(page.one("#speed").get_attribute("data-ms"))
    record_property("median_ms", median_ms)
    assert median_ms < SECOND / FRAMES_A_SECOND


@pytest.mark.parametrize("width", [320, 800, 1920])
def test_nothing_is_cut_off(chromium: Any, address: str, width: int) -> None:
    page = Page(chromium, address, width)
    assert page.script("return document.documentElement.scrollWidth") <= width
    for element in page.all(".handle, canvas, button, table, label"):
        rect = element.rect
        assert rect["width"] > 0
        assert rect["x"] >= 0
        assert rect["x"] + rect["width"] <= width, element.get_attribute("outerHTML")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1920])
def test_nobody_is_shut_out(chromium: Any, address: str, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_selenium_python", reason="axe-selenium-python is not installed")
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    Page(chromium, address, width)
    rules = axe.Axe(chromium)
    rules.inject()
    found = rules.run()
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(found["passes"]) > 10
    serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)[:3000]


def test_a_digit_can_be_taken_and_drawn(page: Page) -> None:
    page.does(page.one("#reset").click)
    page.does(page.all("#digits button")[7].click)
    taken = page.pixels("#input")
    assert page.all("#digits button")[7].get_attribute("aria-pressed") == "true"
    page.does(page.one("#clear").click)
    assert not page.pixels("#input").any()
    assert not page.all("#digits [aria-pressed=true]")
    pad = page.one("#pad")
    stroke = ActionChains(page.browser, duration=50).move_to_element_with_offset(pad, -40, -50)
    stroke = stroke.click_and_hold().move_by_offset(10, 60).move_by_offset(0, 40).release()
    page.does(stroke.perform)
    drawn = page.pixels("#input") / 255
    assert not torch.equal(drawn, taken / 255)
    rows, columns = (drawn > 0.5).any(1).nonzero(), (drawn > 0.5).any(0).nonzero()
    height = int(rows.max() - rows.min()) + 1
    assert 17 <= height <= 21  # of the size of MNIST's digits, however large it was drawn
    assert columns.max() - columns.min() < height / 2
    ys, xs = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    centre = [float((drawn * axis).sum() / drawn.sum()) for axis in (ys, xs)]
    assert centre == pytest.approx([13.5, 13.5], abs=0.3)


def test_random_and_reset(page: Page) -> None:
    page.does(page.one("#reset").click)
    neutral = page.pixels("#input")
    page.does(page.one("#random").click)
    assert not torch.equal(page.pixels("#input"), neutral)
    page.does(page.one("#reset").click)
    assert torch.equal(page.pixels("#input"), neutral)


def copied(folder: Path, to: Path, names: object = None) -> Path:
    """The demo without its networks, whose list says what it is given."""
    shutil.copytree(folder, to, symlinks=True, ignore=shutil.ignore_patterns("networks.json"))
    if names is not None:
        (to / "networks.json").write_text(json.dumps(names))
    return to


def test_without_networks_the_page_says_which_command_makes_them(
    chromium: Any, demo_folder: Path, tmp_path: Path
) -> None:
    for address in served(copied(demo_folder, tmp_path / "demo")):
        chromium.get(address)
        WebDriverWait(chromium, WAIT_S).until(
            lambda browser: "make demo" in browser.find_element(By.ID, "message").text
        )
        assert not chromium.find_element(By.TAG_NAME, "main").is_displayed()


def test_names_are_text(chromium: Any, demo_folder: Path, tmp_path: Path) -> None:
    columns = json.loads((demo_folder / "networks.json").read_text())
    hostile = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    columns[0]["label"] = hostile
    for network in columns[0]["networks"]:
        network["name"] = network["label"] = hostile
    for address in served(copied(demo_folder, tmp_path / "demo", columns)):
        page = Page(chromium, address)
        assert hostile in page.one("#columns").text
        assert chromium.title != "run"
        assert not page.all("main img, main script")
