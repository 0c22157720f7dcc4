"""Pages as a browser shows them: what it complains about, what runs out of the window, and where links lead."""

import functools
import http.server
import shutil
import threading
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS, SCHEMES = (390, 1280), ("light", "dark")
# the least contrast of large text (WCAG 2, AA)
FAINT = 3
HERE = Path(__file__).parent
OVERFLOW, CONTRAST = ((HERE / name).read_text("utf-8") for name in ("overflow.js", "contrast.js"))


def program():
    """The path of a Chromium that is installed, None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def served(folder):
    """The address at which the files of a folder are served."""

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            # browsers ask for it at each host, whether a page names one or not
            if self.path == "/favicon.ico":
                self.send_response(204)
                self.end_headers()
            else:
                super().do_GET()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def chromium(path):
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        # a container's root has no sandbox
        browser = player.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


def look(browser, address, schemes=SCHEMES, widths=WIDTHS):
    """All that is wrong with a page: errors of the console, requests that fail or leave the host, overflow, faint text."""
    return [f"{scheme}: {what}" for scheme in schemes for what in _look(browser, address, scheme, widths)]


def _look(browser, address, scheme, widths):
    found, host = [], urlsplit(address).netloc
    context = browser.new_context(color_scheme=scheme, viewport={"width": max(widths), "height": 900})
    page = context.new_page()
    page.on("console", lambda message: found.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("requestfailed", lambda request: found.append(f"failed: {request.url}"))
    page.on("request", lambda r: found.append(f"asks {r.url}") if urlsplit(r.url).netloc not in (host, "") else None)
    page.goto(address, wait_until="load")
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        # a moving sidebar comes to rest
        page.wait_for_timeout(300)
        found += [f"{width} px: {what}" for what in page.evaluate(OVERFLOW)]
    least, where = page.evaluate(CONTRAST)
    if least < FAINT:
        found.append(f"{where!r} has the contrast {least:.1f}")
    context.close()
    return found


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.anchors = [], set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        link = given.get("href") if tag in ("a", "link") else given.get("src")
        if link:
            self.links.append(link)


def _read(file):
    parser = _Links()
    parser.feed(file.read_text("utf-8"))
    return parser


def dead_links(folder):
    """Links of the pages below a folder that lead to no file or no place there, as (page, link); other hosts are not asked."""
    pages = {file: _read(file) for file in sorted(folder.rglob("*.html"))}
    dead = []
    for file, page in pages.items():
        at = "http://here/" + file.relative_to(folder).as_posix()
        for link in page.links:
            target = urlsplit(urljoin(at, link))
            if target.netloc != "here" or target.scheme not in ("http", "https"):
                continue
            goal = folder / unquote(target.path).lstrip("/")
            goal = goal / "index.html" if goal.is_dir() else goal
            anchor = unquote(target.fragment)
            if not goal.is_file() or (anchor and goal in pages and anchor not in pages[goal].anchors):
                dead.append((file.relative_to(folder).as_posix(), link))
    return dead
