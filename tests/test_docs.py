"""Links of the documents lead somewhere, and versions agree; `make docs` builds the site."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import unquote
from urllib.request import Request, urlopen

import pytest
import yaml

import stn

ROOT = Path(__file__).parents[1]
PATTERNS = (
    "*.md",
    "data/*.md",
    "docs/*.md",
    "results/**/*.md",
    "weights/*.md",
    "notebooks/*.ipynb",
)
DOCUMENTS = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)>\s]+)>?\)|(?:src|href)=\"([^\"]+)\"")


def text_of(path: Path) -> str:
    """The prose of a document, without its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "markdown"]
        text = "\n\n".join("".join(source) for source in cells)
    return re.sub(r"^```.*?^```|`[^`\n]*`", "code", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as a forge makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def dead_links(path: Path) -> Iterator[str]:
    for groups in LINK.findall(text_of(path)):
        link = next(filter(None, groups))
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = unquote(link).partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    assert [*dead_links(path)] == []


@pytest.mark.integration
def test_every_address_elsewhere_answers() -> None:
    """Needs a network, which tests otherwise do not."""
    texts = [re.sub(r"[<>]", " ", text_of(path)) for path in DOCUMENTS]
    found = {a.rstrip(".,") for text in texts for a in re.findall(r"https://[^\s)\]\"]+", text)}
    assert len(found) > 3
    dead = []
    for address in sorted(found):
        asked = Request(address, headers={"User-Agent": "Mozilla/5.0"})
        try:
            urlopen(asked, timeout=30).close()
        except HTTPError as error:
            dead.append(f"{address}: {error}")
        except URLError as error:
            pytest.skip(f"no network: {error}")
    assert dead == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title, here\n[a](page.md#a-title-here) [b](#nowhere) ![c](gone.png)\n`[d](e)`"
    )
    assert [*dead_links(page)] == ["#nowhere", "gone.png"]


def test_every_document_is_in_the_site() -> None:
    lines = (ROOT / "docs/index.md").read_text().splitlines()
    listed = [line.rpartition("<")[2].rstrip(">") for line in lines]
    for path in DOCUMENTS:
        name = path.relative_to(ROOT).with_suffix("").as_posix()
        name = name.removeprefix("docs/") if name.startswith("docs/") else f"/{name}"
        if not name.startswith("/results/") and name != "index":
            assert listed.count(name) == 1, f"docs/index.md lists {name} once"


def test_the_version_is_one() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changelog = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert citation["version"] == versions[0] == stn.__version__
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license"} <= citation.keys()
