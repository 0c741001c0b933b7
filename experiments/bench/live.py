"""The part `live`: how long the page of `lenet.live` takes to answer a stroke, in Chromium."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.bench.options import Options
from experiments.bench.rounds import Answer, ContestantError, spread, time_command

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

MODELS = ("lenet", "conv3")
STEPS, INSPECT_EVERY = 75, 5  # 16 recorded steps. How well the network answers does not matter.
ROUNDS = 3  # Drawings of each network.
# Places as shares of the drawing area: the strokes of one drawing, a large 4 and some more lines.
STROKES = (
    ((0.45, 0.15), (0.38, 0.3), (0.3, 0.5), (0.28, 0.58), (0.5, 0.58), (0.75, 0.58)),
    ((0.62, 0.2), (0.61, 0.4), (0.6, 0.6), (0.6, 0.75), (0.6, 0.9)),
    ((0.2, 0.2), (0.3, 0.22), (0.4, 0.26), (0.5, 0.3), (0.6, 0.34), (0.7, 0.36), (0.8, 0.4)),
    ((0.2, 0.8), (0.3, 0.82), (0.4, 0.8), (0.5, 0.78), (0.6, 0.8), (0.7, 0.84), (0.8, 0.82)),
)
# No window, no first-run page, no connection to the internet.
CHROMIUM = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--enable-unsafe-swiftshader --window-size=1400,1000"
)
READY = "return document.readyState === 'complete' && 'live' in window"


def measure(options: Options) -> Answer:
    """Trains each network for a few steps, writes its page, and draws on it with the mouse pointer."""
    result: Answer = {"measurements": [], "ratios": [], "notes": []}
    rounds = options.rounds_of(ROUNDS)
    for model in MODELS[:1] if options.quick else MODELS:
        print(f"{model}: {rounds} drawings of {len(STROKES)} strokes …", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            page = _write_page(Path(folder), model, options.data_arguments())
            megabytes = page.stat().st_size / 1e6
            times, steps = answer_times(page, Path(folder) / "profile", rounds)
        slow = statistics.quantiles(times, n=20)[-1]
        result["measurements"].append(
            {"contestant": model, "unit": "ms", "values": times, **spread(times)}
        )
        result["notes"].append(
            f"{model}: 95 % of the {len(times)} answers took at most {slow:.1f} ms. The page has "
            f"{megabytes:.1f} MB and {steps} recorded steps."
        )
    result["notes"].append(
        "The first number is the median of all answers. In brackets are the minimum and the maximum. The "
        "time is from the event of the pointer until all layers are drawn on the page."
    )
    return result


def _write_page(folder: Path, model: str, data: list[str]) -> Path:
    """Trains a network for a few steps and writes its page."""
    train = [sys.executable, "-m", "lenet.train", "--model", model, "--max-steps", str(STEPS)]
    train += ["--inspect-every", str(INSPECT_EVERY), "--checkpoint-every", str(INSPECT_EVERY)]
    train += ["--keep", "2", "--no-figures", "--quiet", "--logdir", str(folder)]
    time_command([*train, "--run-name", model, *data])
    page = folder / "live.html"
    write = [sys.executable, "-m", "lenet.live", str(folder / model), "--no-open"]
    time_command([*write, "--output", str(page)])
    return page


def answer_times(page: Path, profile: Path, rounds: int) -> tuple[list[float], int]:
    """Draws on a page.

    Args:
        page: the file that `lenet.live` wrote.
        profile: an empty folder for the browser.
        rounds: the number of drawings, after one as a warm-up.

    Returns:
        The time of each answer in milliseconds, and the number of recorded steps in the page.

    Raises:
        ContestantError: there is no Chromium, or it ended early.
    """
    try:
        browser = open_browser(profile)
    except FileNotFoundError as error:
        raise ContestantError(str(error)) from error
    from selenium.webdriver.support.wait import WebDriverWait

    try:
        browser.get(page.as_uri())
        WebDriverWait(browser, 60).until(lambda found: found.execute_script(READY))
        browser.execute_script("document.getElementById('tour-end')?.click()")
        draw(browser, STROKES)
        browser.execute_script("live.answerTimes.length = 0")
        for _ in range(rounds):
            browser.execute_script("document.getElementById('clear').click()")
            draw(browser, STROKES)
        steps = browser.execute_script("return live.RUNS[0].steps.length")
        return browser.execute_script("return live.answerTimes"), steps
    finally:
        browser.quit()


def draw(browser: Chrome, strokes: Sequence[Sequence[tuple[float, float]]]) -> None:
    """Draws strokes with the mouse on the page's drawing area; places are shares of its side."""
    from selenium.webdriver import ActionChains

    sketch = browser.find_element("id", "sketch")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", sketch)
    side = sketch.rect["width"]
    for stroke in strokes:
        moves = ActionChains(browser, duration=20)
        for number, (x, y) in enumerate(stroke):
            place = (int((x - 0.5) * side), int((y - 0.5) * side))
            moves.move_to_element_with_offset(sketch, *place)
            if number == 0:
                moves.click_and_hold()
        moves.release().perform()


def open_browser(profile: Path) -> Chrome:
    """Starts a Chromium without a window.

    Args:
        profile: an empty folder for its files.

    Raises:
        FileNotFoundError: a program or a package is missing; the message names them.
    """
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise FileNotFoundError(
            "This needs the programs chromium and chromedriver (Debian: apt install chromium-driver)."
        )
    try:
        from selenium.webdriver import Chrome, ChromeOptions
        from selenium.webdriver.chrome.service import Service
    except ImportError as error:
        raise FileNotFoundError("This needs one more package: pip install selenium") from error

    options = ChromeOptions()
    options.binary_location = chromium
    for word in (*CHROMIUM.split(), f"--user-data-dir={profile}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(driver))
    browser.set_page_load_timeout(60)
    return browser
