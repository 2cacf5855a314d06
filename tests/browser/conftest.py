"""A Chromium without a window.

Needs Chromium and its driver (Debian: chromium, chromium-driver), and the extra `browser`.
"""

import shutil

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
