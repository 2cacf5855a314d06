"""Takes the pictures of the page of nets that README and site show; needs the extra `browser`.

    python tools/take_screenshots.py     # docs/_static/answers.webp and inside.webp

The first shows what the nets answer to a cat, the second a number of a feature map, computed.
"""

import io
import tempfile
from pathlib import Path

from cifar_keras import environment  # noqa: F401  quietly  isort: skip
from PIL import Image
from selenium import webdriver

from cifar_keras import play

STATIC = Path(__file__).parents[1] / "docs" / "_static"
CAT = "document.querySelectorAll('#thumbnails button')[3].click()"
SETTLED = """
const done = arguments[0];
(function wait() {
  const busy = Object.values(workers).some((net) => net.busy);
  if (busy || !document.querySelector("#maps canvas")) setTimeout(wait, 50);
  else setTimeout(done, 500);
})();
"""


def save(png, name):
    with Image.open(io.BytesIO(png)) as shot:
        small = shot.convert("RGB").resize((960, 960 * shot.height // shot.width))
    small.save(STATIC / f"{name}.webp", quality=80)


def main():
    options = webdriver.ChromeOptions()
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options)
    try:
        with tempfile.TemporaryDirectory() as folder:
            play.write_page(Path(folder) / "play.html")
            driver.get((Path(folder) / "play.html").as_uri())
            driver.execute_script(CAT)
            driver.execute_async_script(SETTLED)
            save(driver.get_screenshot_as_png(), "answers")
            driver.set_window_size(1280, 3000)  # what is not in the window is cut off
            inside = driver.find_element("id", "inside")
            feature_map = inside.find_element("css selector", "#maps canvas")
            webdriver.ActionChains(driver).move_to_element(feature_map).perform()
            save(inside.screenshot_as_png, "inside")
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
