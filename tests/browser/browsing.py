"""A headless Chromium that reaches one origin only and remembers what went wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Route, expect, sync_playwright

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The first page of a cold browser loads and compiles DuckDB, 36 MB.
LOAD_MILLISECONDS = 60_000
COLOURED_PIXELS = """() => {
  const charts = [...document.querySelectorAll('[_echarts_instance_] canvas')];
  return charts.map((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      const rgb = data.subarray(i, i + 3);
      if (data[i + 3] > 128 && Math.max(...rgb) - Math.min(...rgb) > 40) count += 1;
    }
    return count;
  });
}"""
SETTLED = """() => {
  const text = document.querySelector('#evidence-main-article').innerText;
  if (text !== window.settledText) {
    window.settledText = text;
    window.settledSince = performance.now();
  }
  return !text.includes('Loading...') && performance.now() - window.settledSince > 1000;
}"""
PERIOD_LABEL = re.compile(r"[A-Z][a-z]{2} \d{1,2}, \d{4} - [A-Z][a-z]{2} \d{1,2}, \d{4}")


@dataclass
class Troubles:
    """What a reader's browser complained about, and the addresses outside that were asked for."""

    messages: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


@contextmanager
def open_browser(executable: Path, profile: Path) -> Iterator[BrowserContext]:
    """A browser with an empty profile of its own."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=str(executable),
            args=CHROMIUM_FLAGS,
            viewport={"width": 1440, "height": 1000},
        )
        context.set_default_timeout(LOAD_MILLISECONDS)
        yield context
        context.close()


def watch(page: Page, origin: str) -> Troubles:
    """Block every request that leaves `origin`, and collect what fails."""
    troubles = Troubles()

    def guard(route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.scheme in {"data", "blob"} or f"{url.scheme}://{url.netloc}" == origin:
            route.continue_()
            return
        troubles.outside.append(route.request.url)
        route.abort()

    page.context.route("**/*", guard)
    note = troubles.messages.append
    page.on("pageerror", lambda error: note(f"page error: {error}"))
    page.on("requestfailed", lambda request: note(f"failed: {request.url} {request.failure}"))
    page.on("response", lambda r: note(f"status {r.status}: {r.url}") if r.status >= 400 else None)
    page.on("console", lambda m: note(f"console: {m.text}") if m.type == "error" else None)
    return troubles


class ReportPage:
    """One report page as a reader meets it."""

    def __init__(self, page: Page, base_url: str, troubles: Troubles) -> None:
        """Take a browser page, the address that serves /reports, and what collects complaints."""
        self.page = page
        self.base_url = base_url
        self.troubles = troubles

    def open(self, path: str) -> None:
        """Load a page and wait until its figures stand."""
        self.page.goto(f"{self.base_url}/reports/{path}")
        self.wait_for_figures()

    def wait_for_figures(self) -> None:
        """Wait until nothing is loading and the text has stood still for a second."""
        article = self.page.locator("#evidence-main-article")
        source = article.locator("small", has_text="From reports.")
        expect(source).to_be_visible(timeout=LOAD_MILLISECONDS)
        self.page.evaluate("window.settledText = undefined")
        self.page.wait_for_function(SETTLED, polling=100)

    def figure(self, title: str) -> str:
        """The big figure under `title`, as it is written."""
        exactly = re.compile(rf"^\s*{re.escape(title)}\s*$")
        heading = self.page.locator("p.text-sm", has_text=exactly)
        return heading.locator("xpath=following-sibling::*[1]").first.inner_text().strip()

    def choose(self, filter_title: str, option: str) -> None:
        """Choose one option of a drop-down filter, which draws the options in view only."""
        self.page.get_by_role("combobox", name=filter_title, exact=True).click()
        self.page.keyboard.type(option)
        self.page.locator(f'[role=option][data-value="{option}"]').click()
        self.page.keyboard.press("Escape")

    def choose_period(self, preset: str) -> None:
        """Choose one of the named periods."""
        self.page.get_by_role("combobox").filter(has_text="Select a Range").click()
        self.page.get_by_role("option", name=preset, exact=True).click()

    def period(self) -> str:
        """The period that is chosen, as `Oct 24, 2026 - Nov 23, 2026`."""
        return self.page.get_by_role("button", name=PERIOD_LABEL).first.inner_text()

    def coloured_pixels(self) -> list[int]:
        """Per chart, how many pixels are coloured: axes and texts are grey, data are not."""
        counts: list[int] = self.page.evaluate(COLOURED_PIXELS)
        return counts

    def save_screenshot(self, file: Path) -> None:
        """Save the whole page."""
        height = self.page.evaluate("document.documentElement.scrollHeight")
        self.page.set_viewport_size({"width": 1440, "height": height})
        self.page.wait_for_timeout(600)
        self.page.screenshot(path=str(file))
        self.page.set_viewport_size({"width": 1440, "height": 1000})
