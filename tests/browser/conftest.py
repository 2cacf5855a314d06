"""What tests of pages share: a Chromium without a window, what it heard, and what axe-core finds.

Needs Chromium and its driver (Debian: chromium, chromium-driver), and the extra `browser`; axe-core
comes by npm.
"""

import json
import shutil
import subprocess
import tarfile

import pytest

DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="needs `pip install -e '.[browser]'`, which drives Chromium"
    )
    if not DRIVER:
        pytest.skip("no Chromium with its driver is installed")
    options = webdriver.ChromeOptions()
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,1600"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(300)
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def heard():
    """A function: what a browser has asked for, and its console's messages, since the last call."""

    def listen(browser):
        events = [
            json.loads(entry["message"])["message"] for entry in browser.get_log("performance")
        ]
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return asked, browser.get_log("browser")

    return listen


@pytest.fixture(scope="session")
def axe(axe_if_there):
    """A function: the serious barriers that axe-core (Deque Systems, MPL 2.0) finds on a page."""
    if axe_if_there is None:
        pytest.skip("npm or its registry is not there, from which axe-core comes")
    return axe_if_there


@pytest.fixture(scope="session")
def axe_if_there(tmp_path_factory):
    """The same, or None."""
    folder = tmp_path_factory.mktemp("axe")
    command = [shutil.which("npm") or "npm", "pack", "--silent", "axe-core@4.11.1"]
    try:
        packed = subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    with tarfile.open(folder / packed) as archive:
        source = archive.extractfile("package/axe.min.js").read().decode()

    def serious(browser):
        browser.execute_script(source)
        command = "axe.run({preload: false, resultTypes: ['violations']}).then(arguments[0])"
        found = browser.execute_async_script(command)["violations"]
        return [
            (one["id"], one["nodes"][0]["html"][:100])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    return serious
