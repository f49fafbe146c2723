"""The page as a person meets it, in a headless Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import in_node_path
from tests.pages.conftest import Write, spoil

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Page = sync_api.Page
VIEW = "digits-smoke-R-st"


@pytest.fixture
def tab(chromium: sync_api.Browser) -> Iterator[Page]:
    """An empty tab; at the end nothing may have been said on its console, and nothing asked for."""
    said: list[str] = []
    context = chromium.new_context(viewport={"width": 1000, "height": 700})
    tab = context.new_page()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(dialog.message))
    tab.on("request", lambda request: said.extend([request.url] * (":" not in request.url[:6])))
    yield tab
    context.close()
    assert said == []


def shown(tab: Page, column: int) -> list[str]:
    return tab.locator(f".cells tbody tr > :nth-child({column})").all_inner_texts()


def test_a_column_sorts_both_ways_by_number_and_what_has_none_comes_last(
    tab: Page, page: Path
) -> None:
    tab.goto(page.as_uri())
    head = tab.get_by_role("columnheader", name="Paper", exact=True)
    for direction, order in (("ascending", ["0.7", "1.2", "99.5", "–"]),
                             ("descending", ["99.5", "1.2", "0.7", "–"])):  # fmt: skip
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == direction
        assert shown(tab, 3) == order
    tab.get_by_role("columnheader", name="Network").get_by_role("button").press("Enter")
    assert shown(tab, 2) == ["CNN", "CNN", "ST-CNN projective", "ST-CNN projective"]
    assert head.get_attribute("aria-sort") is None


def test_a_cell_opens_its_view_by_keyboard_and_its_slider_moves(tab: Page, page: Path) -> None:
    tab.goto(page.as_uri())
    opener, dialog = tab.locator(f"[data-opens={VIEW}]"), tab.locator(f"#{VIEW}")
    assert not dialog.is_visible()
    opener.press("Enter")
    assert dialog.is_visible()
    assert tab.url.endswith(f"#{VIEW}")
    for heading in ("Through training", "Test images", "Confusion", "Provenance", "Command"):
        assert dialog.get_by_role("heading", name=heading, exact=True).is_visible()
    frames, slider = dialog.locator("[data-step]"), dialog.get_by_role("slider", name="Training")
    last = frames.count() - 1
    assert [frames.nth(i).is_visible() for i in range(last + 1)] == [False] * last + [True]
    slider.press("Home")
    assert [frames.nth(i).is_visible() for i in range(last + 1)] == [True] + [False] * last
    assert dialog.locator("output").inner_text() == "step 0"
    assert slider.get_attribute("aria-valuetext") == "step 0"
    loaded = "images => images.every(image => image.complete && image.naturalWidth > 0)"
    assert dialog.locator("img:visible").count() > 5
    assert dialog.locator("img:visible").evaluate_all(loaded)
    tab.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert opener.evaluate("button => button === document.activeElement")


def test_an_address_with_a_view_opens_it(tab: Page, page: Path) -> None:
    tab.goto(f"{page.as_uri()}#{VIEW}")
    dialog = tab.locator(f"#{VIEW}")
    assert dialog.is_visible()
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()
    tab.wait_for_function("location.hash === ''")  # an event of its own, a moment later
    tab.evaluate("view => { location.hash = view }", VIEW)  # as typed into the open page
    tab.wait_for_function("view => document.getElementById(view).open", arg=VIEW)
    other = VIEW.replace("-st", "-cnn")
    tab.evaluate("view => { location.hash = view }", other)
    tab.wait_for_function("view => document.getElementById(view).open", arg=other)
    assert not dialog.is_visible()
    assert tab.url.endswith(f"#{other}")


def test_long_paths_and_commands_are_wrapped(tab: Page, write: Write, runs: Path) -> None:
    (runs / ("long" * 20)).mkdir()
    (runs / ("long" * 20) / "result.json").write_text("{}")
    tab.set_viewport_size({"width": 320, "height": 700})
    tab.goto(write(runs).as_uri())
    fits = "element => element.scrollWidth <= element.clientWidth"
    assert tab.get_by_role("heading", name="Records that cannot be used").is_visible()
    assert tab.locator("html").evaluate(fits)
    tab.locator(f"[data-opens={VIEW}]").click()
    command = tab.locator(f"#{VIEW} .command")
    command.evaluate("element => { element.textContent += ' ' + 'more'.repeat(50) }")
    assert command.evaluate(fits)


def test_what_records_say_does_nothing(tab: Page, write: Write, runs: Path) -> None:
    spoil(runs)
    tab.goto(write(runs).as_uri())
    for opener in tab.locator("[data-opens]").all():
        opener.click()
        tab.keyboard.press("Escape")
    assert tab.evaluate("typeof hacked") == "undefined"
    assert tab.evaluate("document.scripts.length") == 1
    assert tab.evaluate("document.querySelectorAll('[onerror]').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1920])
def test_every_width_and_colour_is_plain_and_axe_finds_nothing_serious(
    tab: Page, page: Path, scheme: str, width: int
) -> None:
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 800})
    tab.goto(page.as_uri())
    fits = "element => element.scrollWidth <= element.clientWidth"
    assert tab.locator("html").evaluate(fits)
    longest = (
        "button => { button.innerHTML = '20.60 <span>± 0.76</span> <span class=seeds>(3)</span>' }"
    )
    tab.locator(f"[data-opens={VIEW}]").evaluate(longest)
    assert tab.locator(".cells").locator("..").evaluate(fits)
    light = tab.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (light == "rgb(255, 255, 255)") == (scheme == "light")
    assert serious(tab) == []
    tab.locator(f"[data-opens={VIEW}]").click()
    assert tab.locator(f"#{VIEW}").evaluate(fits)
    assert serious(tab) == []


def serious(tab: Page) -> list[str]:
    """What axe-core finds that is serious or worse."""
    tab.evaluate(in_node_path("axe-core/axe.min.js").read_text())
    violations = tab.evaluate("axe.run().then(found => found.violations)")
    return [
        f"{violation['id']}: {violation['nodes'][0]['html'][:200]}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ]
