"""A real Chromium without a window, which asks the network for nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from selenium import webdriver

#: Seconds in which a page must have come to what is waited for.
_PATIENCE: Final = 10.0

_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # 64 MB in a container
)


class Browser:
    """A window, and what a person does in it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def look(self, *, theme: Literal["light", "dark"] = "light", width: int = 1280) -> None:
        """Set what the page can ask of the screen."""
        media = [{"name": "prefers-color-scheme", "value": theme}]
        self.command("Emulation.setEmulatedMedia", features=media)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **size)

    def open(self, page: Path, state: str = "") -> float:
        """Open the report in this state; return the seconds until a case was drawn."""
        self._driver.get("about:blank")  # or another hash would not load it anew
        start = time.perf_counter()
        self._driver.get(page.as_uri() + state)
        self.wait("return document.documentElement.dataset.ready")
        return time.perf_counter() - start

    def run(self, script: str, *arguments: object) -> Any:
        return self._driver.execute_script(script, *arguments)

    def wait(self, script: str) -> Any:
        """Return what `script` returns, once that is true."""
        until = time.monotonic() + _PATIENCE
        while not (value := self.run(script)):
            assert time.monotonic() < until, f"never: {script}"
            time.sleep(0.01)
        return value

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        for key in keys:
            text = {"Enter": "\r", "Space": " "}.get(key, key if len(key) == 1 else "")
            named: dict[str, str | int] = {"key": " " if key == "Space" else key, "text": text}
            codes = {"Tab": 9, "Enter": 13}
            named |= {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
            self.command("Input.dispatchKeyEvent", type="keyDown", **named)
            self.command("Input.dispatchKeyEvent", type="keyUp", **named)

    @property
    def complaints(self) -> list[str]:
        """What the console has said since it was last asked."""
        return [entry["message"] for entry in self._driver.get_log("browser")]

    def command(self, name: str, **parameters: object) -> Any:
        return self._driver.execute_cdp_cmd(name, parameters)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("there is no Chromium here: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(driver: webdriver.Chrome) -> Browser:
    browser = Browser(driver)
    browser.look()
    return browser
