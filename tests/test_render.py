"""The site and reports in headless Chromium: no errors, no dead links, nothing that runs out of the window, light and dark.

It needs a Chromium on the path and the extra `render`. The pages are read from disk: nothing is asked of other hosts.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from browser import chromium, dead_links, look, program, served

import inradius

ROOT = Path(__file__).parents[1]
# building the site and showing its pages takes minutes
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built anew."""
    pytest.importorskip("mkdocs", reason="the site is built with the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def browser():
    if program() is None:
        pytest.skip("no Chromium on the path, as Debian's package chromium brings one")
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright, which drives Chromium, is not installed; it is in the extra render")
    with chromium(program()) as started:
        yield started


def pages(folder):
    return [file.relative_to(folder).as_posix().removesuffix("index.html") for file in sorted(folder.rglob("*.html"))]


def test_no_link_of_the_site_is_dead(site):
    assert dead_links(site) == []


def test_every_page_of_the_site_is_shown_whole(site, browser):
    with served(site) as address:
        wrong = {page: look(browser, f"{address}/{page}") for page in pages(site) if page != "404.html"}
    assert len(wrong) > 50
    assert {page: found for page, found in wrong.items() if found} == {}


def test_the_search_of_the_site_finds_a_page(site, browser):
    with served(site) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.fill("input.md-search__input", "wasserstein")
        page.wait_for_selector(".md-search-result__link", timeout=20_000)
        assert page.locator(".md-search-result__link").count() > 1
        page.close()


@pytest.fixture
def report(figures):
    """A report of each kind: a set, a union of three, and an outcome that is no class."""
    data = inradius.make("digits").take(40)
    model = inradius.make("mlp(64, 16, 10)").eval()
    own = inradius.Dataset.of(data.inputs, model(data.inputs).argmax(1), name="its own answers")
    height = inradius.make("mlp(64, 16, 1)").eval()
    numbers = inradius.Dataset.of(data.inputs, height(data.inputs).detach(), name="numbers", classes=False)
    methods = {"attacks": ["fgsm", "pgd(steps=5)"], "certifiers": ["interval"]}

    def made(kind):
        if kind == "set":
            return inradius.bracket(model, own, "linf(eps=0.02)", **methods)
        if kind == "union":
            return inradius.bracket(model, own, "union(linf(eps=0.01), l2(eps=0.05), l1(eps=0.1))", **methods)
        return inradius.bracket(
            height, numbers, "l2(eps=0.1)", outcome="regression(tolerance=0.1)", attacks="fgsm", certifiers=[]
        )

    return made


@pytest.mark.parametrize("kind", ["set", "union", "outcome"])
def test_a_report_is_shown_whole(report, browser, tmp_path, kind):
    report(kind).save(tmp_path)
    assert dead_links(tmp_path) == []
    with served(tmp_path) as address:
        assert look(browser, f"{address}/report.html") == []


WRONG = """<!doctype html><html lang="en"><body><main>
<p style="color: #ddd; background: #fff">faint</p>
<pre style="overflow: hidden; width: 100px">{code}</pre>
<table style="width: 2000px"><tr><td>wide</td></tr></table>
<a href="nowhere.html">dead</a> <a href="#nobody">also dead</a> <a href="#there" id="there">alive</a>
<img src="gone.png" alt="">
<script>console.error("wrong"); throw new Error("worse")</script>
</main></body></html>"""


def test_what_is_wrong_with_a_page_is_told(browser, tmp_path):
    (tmp_path / "page.html").write_text(WRONG.format(code="code " * 60), "utf-8")
    assert dead_links(tmp_path) == [("page.html", link) for link in ("nowhere.html", "#nobody", "gone.png")]
    with served(tmp_path) as address:
        found = "\n".join(look(browser, f"{address}/page.html", schemes=("light",)))
    for said in (
        "console: wrong",
        "error: worse",
        "404",
        "390 px: table",
        "px too wide",
        "is clipped",
        "'faint' has the",
    ):
        assert said in found, found
