"""`python -m lenet.live`: the page's network equals TensorFlow's, and the page does what it says."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from experiments.bench.live import draw
from lenet.data.datasets import Dataset
from lenet.live import __main__ as live
from lenet.live.export import Content, describe_layers, labels_of, pack, read_content
from lenet.live.moments import Moments, spread
from lenet.live.page import SCRIPTS, WEB, render
from lenet.live.size import Share, encoded_bytes, share_out
from lenet.networks.architectures import MODELS
from lenet.networks.inputs import to_float
from lenet.registry import ACTIVATIONS

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from lenet.networks.classifier import Classifier

HOSTILE = "<img src=x onerror=document.title='hacked'>"
# The outputs of every layer for some images, in the page's own code.
FORWARD = """
const [layers, shape, mean, packed, bits, images] = arguments;
const plan = live.planNetwork(layers, shape);
const weights = live.unpack(plan, live.decodeBase64(packed), bits).byName;
const bytes = live.decodeBase64(images), size = shape[0] * shape[1] * shape[2];
const encode = (parts) => {
  const raw = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) { raw.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at); at += part.byteLength; }
  let text = "";
  for (let i = 0; i < raw.length; i += 32768) text += String.fromCharCode(...raw.subarray(i, i + 32768));
  return btoa(text);
};
const all = [];
for (let i = 0; i < bytes.length; i += size) {
  all.push(live.forward(plan, weights, live.toInput(bytes.subarray(i, i + size), mean)));
}
return plan.map((layer, i) => ({
  name: layer.name,
  after: encode(all.map((outputs) => outputs[i].after)),
  before: layer.shape ? encode(all.map((outputs) => outputs[i].before)) : null,
}));
"""


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def weights_of(model: Classifier) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {n: (np.asarray(x.kernel), np.asarray(x.bias)) for n, x in model.weight_layers.items()}


def worst_error(browser: Chrome, model: Classifier, images: np.ndarray, bits: int = 32) -> float:
    """The largest difference of the page's and TensorFlow's values, in units of a layer's range."""
    mean = None if model.mean is None else np.asarray(model.mean).tolist()
    layers, packed = describe_layers(model), pack(weights_of(model), bits)
    shape = list(images.shape[1:])
    said = browser.execute_script(FORWARD, layers, shape, mean, packed, bits, encoded(images))
    after, before = model.forward(to_float(images))
    assert [layer["name"] for layer in said] == [n for n in after if "dropout" not in n]
    worst = 0.0
    for layer in said:
        pairs = [(layer["after"], after)] + ([(layer["before"], before)] if layer["before"] else [])
        for text, expected in pairs:
            true = expected[layer["name"]].numpy().ravel()
            ours = np.frombuffer(base64.b64decode(text), "<f4")
            worst = max(worst, float(np.abs(ours - true).max() / max(np.ptp(true), 1e-9)))
    return worst


@pytest.fixture(scope="module")
def run(learned: Any) -> Path:
    """A run that has learned the bundled digits, with six inspections."""
    return learned.history.run


@pytest.fixture(scope="module")
def other(fit: Callable[..., Any], digits: Dataset) -> Path:
    """A run on the same digits that has hardly begun, with class names that look like HTML."""
    names = (HOSTILE, *digits.class_names[1:])
    hostile = dataclasses.replace(digits, class_names=names)
    options = {"activation": "sigmoid", "optimizer": "sgd", "max_steps": 40, "inspect_every": 20}
    return fit(hostile, epochs=2, **options).history.run


@pytest.fixture(scope="module")
def content(run: Path, other: Path) -> Content:
    """What the page of both runs contains. The class names are those of the first."""
    return read_content([other, run], 16, 20)


@pytest.fixture(scope="module")
def page(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of both runs as a file."""
    path = tmp_path_factory.mktemp("live") / "live.html"
    path.write_text(render(content))
    return path


@pytest.fixture
def opened(browser: Chrome, page: Path) -> Chrome:
    """The page in Chromium, with the tour ended."""
    browser.get_log("browser")
    browser.get(page.as_uri())
    browser.execute_script("document.getElementById('tour-end')?.click()")
    return browser


class TestMoments:
    """The weights of a run during its training."""

    def test_they_are_those_of_the_inspections(self, run: Path, learned: Any) -> None:
        from lenet.analysis.trained import load_run

        moments = Moments(load_run(run)).read(16)
        assert list(moments) == [0, 30, 60, 90, 120, 150]
        with np.load(run / "inspections" / "step-00000060.npz") as arrays:
            for name, (kernel, bias) in moments[60].items():
                np.testing.assert_array_equal(kernel, arrays[f"{name}/kernel"])
                np.testing.assert_array_equal(bias, arrays[f"{name}/bias"])

    def test_a_layer_too_large_for_inspections_comes_from_checkpoints_and_the_seed(
        self, fit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from lenet.analysis.trained import load_run
        from lenet.recording import inspections

        before = load_run(fit(inspect_every=3, epochs=2, keep=9).history.run)
        monkeypatch.setattr(inspections, "MAXIMUM_SAVED", 5_000)
        run = load_run(fit(inspect_every=3, epochs=2, keep=9).history.run)
        expected, moments = Moments(before).read(16), Moments(run).read(16)
        assert list(moments) == list(expected) == [0, 3, 6]
        for step, weights in moments.items():
            for name, pair in weights.items():
                for array, true in zip(pair, expected[step][name], strict=True):
                    np.testing.assert_array_equal(array, true)

    def test_the_first_and_the_last_step_always_stay(self) -> None:
        assert spread(range(0, 3001, 200), 4) == [0, 1000, 2000, 3000]
        assert spread([0, 5], 16) == [0, 5]


class TestContent:
    """What is written into the page."""

    def test_runs_are_named_by_what_differs(self, run: Path) -> None:
        from lenet.analysis.trained import load_run

        one = load_run(run)
        two = dataclasses.replace(one, config=dataclasses.replace(one.config, seed=7))
        assert labels_of([one]) == ["relu + adam"]
        assert labels_of([one, two]) == ["relu + adam, seed 0", "relu + adam, seed 7"]
        assert labels_of([one, one]) == [f"relu + adam ({one.path.name})"] * 2

    def test_the_page_refers_to_nothing_outside_itself(self, page: Path) -> None:
        text = re.sub(r'<script type="text/plain"[^>]*>[^<]*', "", page.read_text())
        assert "default-src 'none'" in text
        assert "unsafe-eval" not in text
        for loader in ("https:", "url(", "@import", "<link", "fetch(", "XMLHttpRequest", " src="):
            assert loader not in text.replace("http://www.w3.org/2000/svg", "").replace(
                json.dumps(HOSTILE)[1:-1].replace("<", r"\u003c"), ""
            ).replace(r"\u003cimg src=x", ""), loader

    def test_every_file_of_the_page_is_in_it(self) -> None:
        assert sorted(path.name for path in WEB.iterdir()) == sorted(
            [*SCRIPTS, "live.css", "live.html"]
        )

    def test_runs_on_different_images_are_refused(self, run: Path, fit: Callable[..., Any]) -> None:
        with pytest.raises(ValueError, match="was trained on different images"):
            read_content([run, fit().history.run], 16, 20)


class TestSize:
    """How the weights of all runs are fitted into the page."""

    def test_steps_are_left_out_until_the_page_is_small_enough(self) -> None:
        step = encoded_bytes(1000)
        assert step == pytest.approx(4000 * 4 / 3, abs=4)
        assert share_out([1000, 1000], [16, 16], 40 * step) == [Share(16, 32)] * 2
        assert share_out([1000, 1000], [16, 3], 9 * step) == [Share(6, 32), Share(3, 32)]
        assert share_out([1000], [1], 9 * step) == [Share(1, 32)]

    def test_the_first_and_last_step_of_a_large_network_are_rounded_if_they_do_not_fit(
        self,
    ) -> None:
        large, small = 1_000_000, 1000
        room = 3 * encoded_bytes(large, 16)
        assert share_out([large], [4], 4 * encoded_bytes(large)) == [Share(4, 32)]
        assert share_out([large], [4], 2 * encoded_bytes(large)) == [Share(2, 32)]
        assert share_out([large], [4], room) == [Share(3, 16)]
        assert share_out([small, large], [16, 4], room) == [Share(16, 32), Share(2, 16)]
        # Nothing fits: the small network stays exact, and both keep two steps.
        assert share_out([small, large], [16, 4], large) == [Share(2, 32), Share(2, 16)]

    def test_a_rounded_run_says_how_much_its_answers_change(self, run: Path) -> None:
        from lenet.analysis.trained import load_run, predict, softmax

        read = read_content([run], 16, 0.8)  # Two steps of 32 bits would take 0.66 MB.
        [described] = read.description["runs"]
        assert described["bits"] == 16
        weights = {name: text for name, text in read.weights.items() if name != "images"}
        assert set(weights) == {f"weights-0-{step}" for step in described["steps"]}
        assert len(render(read)) < 0.8e6
        images = np.frombuffer(base64.b64decode(read.weights["images"]), np.uint8)
        images = images.reshape(-1, 28, 28, 1)
        model = load_run(run).model
        exact = softmax(predict(model, images)[0])
        flat = np.frombuffer(base64.b64decode(weights["weights-0-150"]), "<f2").astype(np.float32)
        for layer in model.weight_layers.values():
            for array in (layer.kernel, layer.bias):
                size = int(np.prod(array.shape))
                array.assign(flat[:size].reshape(array.shape))
                flat = flat[size:]
        assert len(flat) == 0
        worst = 100 * float(np.abs(softmax(predict(model, images)[0]) - exact).max())
        assert f"change by at most {worst:.2g} percentage points" in described["rounding"]
        assert f"On the {len(images)} test images" in described["rounding"]
        assert read.notes[0] == f"relu + adam: {described['rounding']}"
        kept = len(described["steps"])
        assert f"{kept} instead of 6 for each run" in read.notes[1]
        assert re.fullmatch(r"--max-size \d keeps everything.", read.notes[2])

    def test_lenet_with_sixteen_steps_stays_exact_and_below_eight_megabytes(self) -> None:
        weights = MODELS["lenet"]((28, 28, 1)).num_parameters
        assert share_out([weights], [16], 7_000_000) == [Share(16, 32)]


class TestCommand:
    """The program."""

    def test_it_writes_one_file_into_the_run(
        self, run: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = set(run.rglob("*"))
        assert live.main([str(run), "--no-open"]) == 0
        assert set(run.rglob("*")) - before == {run / "live.html"}
        assert f"Page  {run / 'live.html'}" in capsys.readouterr().out
        (run / "live.html").unlink()

    def test_a_grid_has_one_run_of_each_combination(self, tmp_path: Path, run: Path) -> None:
        for name, seed in (("a-seed3", 3), ("a-seed4", 4), ("b-seed3", 3)):
            (tmp_path / name).mkdir()
            config = json.loads((run / "config.json").read_text()) | {"seed": seed}
            (tmp_path / name / "config.json").write_text(json.dumps(config))
        assert live.chosen_runs([tmp_path]) == [tmp_path / "a-seed3", tmp_path / "b-seed3"]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["nowhere"], "There is no run in nowhere"),
            (["RUN", "--moments", "1"], "Expected moments to be at least 2"),
            (["RUN", "--max-size", "0"], "Expected max_size to be more than 0"),
        ],
    )
    def test_a_mistake_is_one_line(
        self, run: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            live.main([str(run) if word == "RUN" else word for word in words])
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


@pytest.mark.browser
class TestNetwork:
    """The page's network and TensorFlow's."""

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_every_layer_equals_tensorflows(
        self, opened: Chrome, digits: Dataset, activation: str
    ) -> None:
        model = MODELS["lenet"](activation=activation, init_bias=0.1)
        assert worst_error(opened, model, digits.test.images[:4]) < 1e-5

    @pytest.mark.parametrize("name", ["conv3", "conv4", "mlp"])
    def test_so_do_the_other_networks(
        self, opened: Chrome, name: str, make_dataset: Callable[..., Dataset]
    ) -> None:
        images = make_dataset(pixels=12, channels=3).test.images[:4]
        model = MODELS[name](image_shape=(12, 12, 3), num_classes=3, mean=(0.4, 0.5, 0.6))
        assert worst_error(opened, model, images) < 1e-5

    def test_so_does_a_network_with_weights_of_16_bits(
        self, opened: Chrome, digits: Dataset
    ) -> None:
        model = MODELS["lenet"](activation="tanh", init_bias=0.1)
        for layer in model.weight_layers.values():
            scale = 10.0 ** np.random.default_rng(0).uniform(-7, 0, layer.kernel.shape)
            rounded = (layer.kernel.numpy() * scale).astype(np.float16).astype(np.float32)
            layer.kernel.assign(rounded)
            layer.bias.assign(layer.bias.numpy().astype(np.float16).astype(np.float32))
        assert worst_error(opened, model, digits.test.images[:4], 16) < 1e-5

    def test_so_does_a_run_at_each_recorded_step(
        self, opened: Chrome, run: Path, digits: Dataset, content: Content
    ) -> None:
        from lenet.analysis.trained import load_run

        trained = load_run(run)
        for step, weights in Moments(trained).read(16).items():
            assert content.weights[f"weights-1-{step}"] == pack(weights)
            for name, (kernel, bias) in weights.items():
                trained.model.weight_layers[name].kernel.assign(kernel)
                trained.model.weight_layers[name].bias.assign(bias)
            assert worst_error(opened, trained.model, digits.test.images[:50]) < 1e-5

    @pytest.mark.slow
    @pytest.mark.timeout(300)
    @pytest.mark.parametrize(
        ("name", "activation"),
        [*(("lenet", each) for each in ACTIVATIONS), *((each, "relu") for each in MODELS if each != "lenet")],
    )  # fmt: skip
    def test_every_network_at_three_steps_on_fifty_images(
        self,
        opened: Chrome,
        name: str,
        activation: str,
        fit: Callable[..., Any],
        digits: Dataset,
    ) -> None:
        from lenet.analysis.trained import load_run

        options = {"model": name, "max_steps": 40, "checkpoint_every": 20, "inspect_every": 20}
        options["activation"] = activation
        worst = 0.0
        trained = load_run(fit(digits, epochs=3, keep=9, **options).history.run)
        moments = Moments(trained).read(16)
        assert {0, 20, 40} <= set(moments)
        for step in (0, 20, 40):
            for layer, (kernel, bias) in moments[step].items():
                trained.model.weight_layers[layer].kernel.assign(kernel)
                trained.model.weight_layers[layer].bias.assign(bias)
            for first in range(0, 50, 10):  # Ten at a time: Chromium's messages have a limit.
                images = digits.test.images[first : first + 10]
                worst = max(worst, worst_error(opened, trained.model, images))
        print(f"{name}, {activation}: largest difference {worst:.1e} of a layer's range")
        assert worst < 1e-5


def drawings(count: int) -> list[np.ndarray]:
    """Drawings as the page's canvas has them: 196x196 pixels, white on black or black on white."""
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(count):
        image = Image.new("RGB", (196, 196), "black")
        pen = ImageDraw.Draw(image)
        for _ in range(rng.integers(1, 4)):
            points = rng.integers(20, 176, (rng.integers(2, 5), 2))
            path = [(int(x), int(y)) for x, y in points]
            pen.line(path, "white", int(rng.integers(4, 30)), "curve")
        pixels = np.asarray(image)
        if number % 3 == 2:  # On paper, with noise and a shadow, like a photo.
            light = 235 - 60 * np.linspace(0, 1, 196)[:, None, None]
            noisy = light * (1 - 0.8 * (pixels / 255)) + rng.normal(0, 3, (196, 196, 1))
            pixels = noisy.clip(0, 255).astype(np.uint8)
        pictures.append(pixels)
    return pictures


@pytest.mark.browser
class TestPreparation:
    """The page prepares a picture as `lenet.explain` does."""

    def test_thirty_drawings_become_the_same_images(self, opened: Chrome) -> None:
        from lenet.data.preparation import prepare

        script = """
            const bytes = live.decodeBase64(arguments[0]);
            const picture = { values: Float32Array.from(bytes), height: 196, width: 196, channels: 3 };
            const { pixels, stages } = live.prepare(picture);
            return [[...pixels], stages.map(({ title, note }) => [title, note])];
        """
        worst = 0
        for picture in drawings(30):
            pixels, stages = opened.execute_script(script, encoded(picture))
            expected = prepare(picture, (28, 28, 1), "digits")
            # The page does not count the drawings in an image, `lenet.explain` does.
            one = re.compile(r"to \d+ drawings: use one")
            named = [[s.title, one.sub("to the drawing", s.note)] for s in expected.stages]
            assert stages == named
            difference = np.array(pixels) - expected.image.ravel().astype(int)
            worst = max(worst, int(np.abs(difference).max()))
        assert worst <= 2

    @pytest.mark.parametrize("resize", ["crop", "squash"])
    def test_photos_become_the_same_images(self, opened: Chrome, resize: Any) -> None:
        from lenet.data.preparation import prepare_photo

        rng = np.random.default_rng(1)
        photo = rng.integers(0, 256, (61, 90, 3), dtype=np.uint8)
        script = """
            const picture = { values: Float32Array.from(live.decodeBase64(arguments[0])), height: 61, width: 90, channels: 3 };
            return [...live.preparePhoto(picture, arguments[1], true).pixels];
        """
        pixels = opened.execute_script(script, encoded(photo), resize)
        expected = prepare_photo(photo, (28, 28, 1), resize, True)
        assert np.abs(np.array(pixels) - expected.image.ravel().astype(int)).max() <= 2


def draw_four(browser: Chrome) -> None:
    """Draws a 4 with the mouse, in two strokes."""
    strokes = [[(0.45, 0.15), (0.3, 0.5), (0.28, 0.58), (0.75, 0.58)], [(0.62, 0.2), (0.6, 0.9)]]
    draw(browser, strokes)


def answer(browser: Chrome, run: int) -> tuple[str, str]:
    """The class and the sentence that the page shows for a run."""
    node = browser.find_element("css selector", f".answer[data-run='{run}']")
    parts = [node.find_element("css selector", name).text for name in (".best", ".detail")]
    return parts[0], parts[1]


def after_a_frame(browser: Chrome) -> None:
    """Waits until the page has drawn its last change."""
    script = "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done, 30))"
    browser.execute_async_script(script)


@pytest.mark.browser
class TestPage:
    """What a user does on the page, with real mouse and keyboard events."""

    def test_a_drawn_four_through_training_and_without_a_unit(
        self, opened: Chrome, tmp_path: Path
    ) -> None:
        draw_four(opened)
        after_a_frame(opened)
        best, sentence = answer(opened, 1)
        assert best == "4"
        assert re.fullmatch(r"(> )?\d+\.\d % sure at step 150", sentence)
        # The other run has hardly begun, and answers the same drawing at the same step differently.
        assert "step 40" in answer(opened, 0)[1]
        shares = opened.execute_script(
            "return [...live.state.results.values()].map(r => r.probabilities)"
        )
        assert max(shares[0]) < 0.3 < 0.6 < max(shares[1])
        # Before training, all answers are near guessing.
        opened.execute_script(
            "const s = document.getElementById('step'); s.value = 0;"
            "s.dispatchEvent(new Event('input', { bubbles: true }))"
        )
        after_a_frame(opened)
        assert answer(opened, 1)[1].endswith("sure at step 0")
        shares = opened.execute_script("return live.state.results.get(1).probabilities")
        assert max(shares) < 0.3
        opened.execute_script("live.setStep(150)")
        after_a_frame(opened)
        self.check_a_unit_switched_off(opened)
        self.check_a_dropped_file(opened, tmp_path)
        names = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
        asked = opened.execute_script(names)
        assert [name for name in asked if not name.startswith(("data:", "blob:"))] == []
        assert opened.get_log("browser") == []

    def check_a_unit_switched_off(self, browser: Chrome) -> None:
        """The strongest unit of fc2 for the answer is switched off: its probability falls."""
        script = "return live.state.results.get(1).logits[4]"
        before = browser.execute_script(script)
        strongest = browser.execute_script(
            "const r = live.state.results.get(1), k = r.weights.fc3.kernel, x = r.outputs.at(-2).after;"
            "const terms = [...x].map((v, i) => v * k[i * 10 + 4]);"
            "return terms.indexOf(Math.max(...terms))"
        )
        views = browser.find_elements("css selector", "#band-fc2 .cell")[1]
        canvas = views.find_elements("css selector", "canvas")[1]
        browser.execute_script(
            "const [c, unit] = arguments; c.scrollIntoView({block: 'center'}); c.focus();"
            "for (let i = 0; i < unit; i++) c.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));"
            "c.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));",
            canvas,
            strongest,
        )
        after_a_frame(browser)
        text = browser.execute_script(
            "return document.querySelector('#closer .switch').textContent"
        )
        assert text == f"Switch unit {strongest} off"
        browser.execute_script("document.querySelector('#closer .switch').click()")
        after_a_frame(browser)
        assert browser.execute_script(script) < before
        shown = browser.find_element("css selector", ".answer[data-run='1'] .accuracy").text
        assert f"Off: fc2 {strongest}." in shown
        browser.execute_script("document.querySelector('#closer .close').click()")
        browser.execute_script("document.querySelector('.all-on').click()")
        after_a_frame(browser)
        assert browser.execute_script(script) == before

    def check_a_dropped_file(self, browser: Chrome, folder: Path) -> None:
        """A photo of a one, dropped on the page, is answered as `lenet.explain` would."""
        image = Image.new("RGB", (320, 240), (240, 238, 225))
        ImageDraw.Draw(image).line([(150, 60), (165, 45), (165, 190)], (30, 30, 90), 14, "curve")
        image.save(folder / "one.png")
        content = base64.b64encode((folder / "one.png").read_bytes()).decode()
        browser.execute_async_script(
            "const [text, done] = arguments;"
            "const file = new File([live.decodeBase64(text)], 'one.png', { type: 'image/png' });"
            "const data = new DataTransfer(); data.items.add(file);"
            "document.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));"
            "setTimeout(done, 500);",
            content,
        )
        assert browser.find_element("id", "said").text == "one.png: prepared as below."
        assert answer(browser, 1)[0] == "1"

    def test_class_names_are_text(self, opened: Chrome) -> None:
        assert opened.title.startswith("Live: sigmoid + sgd")
        assert opened.execute_script("return document.images.length") == 0
        cell = opened.find_element("css selector", ".classes tbody th")
        assert cell.get_attribute("textContent") == HOSTILE

    def test_a_network_of_few_images_says_so(self, opened: Chrome) -> None:
        assert "only 797 training images" in opened.find_element("id", "caution").text

    def test_no_other_script_can_run(self, opened: Chrome) -> None:
        # Not in the driver's own script, for which Chromium makes an exception.
        added = opened.execute_async_script(
            "const done = arguments[0], s = document.createElement('script');"
            "s.textContent = 'window.ran = 1'; document.body.append(s);"
            "setTimeout(() => {"
            "try { new Function('window.ran = 2')(); } catch {} done(window.ran ?? 0); });"
        )
        assert added == 0
        opened.get_log("browser")

    def test_a_value_is_explained_in_figures_that_add_up(self, opened: Chrome) -> None:
        opened.execute_script("live.setExample(live.EXAMPLES[3])")
        after_a_frame(opened)
        opened.execute_script(
            "const canvas = document.querySelectorAll('#band-conv1 .cell')[1].querySelectorAll('canvas')[1];"
            "canvas.scrollIntoView({block: 'center'}); canvas.focus();"
            "for (const key of [...Array(12).fill('ArrowDown'), ...Array(14).fill('ArrowRight')])"
            "  canvas.dispatchEvent(new KeyboardEvent('keydown', { key }));"
            "canvas.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));"
        )
        after_a_frame(opened)
        said = opened.find_element("id", "closer").text
        assert "conv1, kernel 0, row 12, column 14" in said
        values = {
            name: float(opened.execute_script(
                "const dt = [...document.querySelectorAll('#closer dt')].find((d) => d.textContent === arguments[0]);"
                "return dt.nextElementSibling.textContent", name,
            ).replace("−", "-"))
            for name in ("sum of the 25 products", "bias", "before relu", "after relu", "slope of relu at this point")
        }  # fmt: skip
        total = values["sum of the 25 products"] + values["bias"]
        assert values["before relu"] == pytest.approx(total, abs=2e-3)
        assert values["after relu"] == max(0.0, values["before relu"])
        assert values["slope of relu at this point"] == float(values["before relu"] > 0)

    def test_a_unit_can_be_pointed_at_before_anything_is_drawn(self, opened: Chrome) -> None:
        opened.get_log("browser")
        opened.execute_script(
            "window.kept = new Map(live.state.results); live.state.results.clear();"
            "const canvas = document.querySelector('#band-fc1 canvas'); canvas.focus();"
            "for (const key of ['ArrowRight', 'Enter'])"
            "  canvas.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));"
        )
        after_a_frame(opened)
        assert opened.execute_script("return live.state.pointed?.layer.name") == "fc1"
        assert opened.get_log("browser") == []
        opened.execute_script(
            "for (const [number, result] of window.kept) live.state.results.set(number, result);"
        )

    @pytest.mark.parametrize("width", [375, 1300])
    def test_nothing_is_wider_than_the_window(self, opened: Chrome, width: int) -> None:
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        after_a_frame(opened)
        widths = "return [document.documentElement.scrollWidth, window.innerWidth]"
        shown, window = opened.execute_script(widths)
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        assert shown <= window == width

    def test_computed_maps_stay_after_a_resize_and_are_marked_when_they_are_old(
        self, opened: Chrome
    ) -> None:
        opened.execute_script("live.setExample(live.EXAMPLES[3])")
        after_a_frame(opened)
        maps = "[...document.querySelectorAll('#band-attribution canvas')]"
        opened.execute_async_script(
            "const done = arguments[0], end = Date.now() + 20000;"
            "for (const run of live.RUNS) run.effort = { SAMPLES: 2, PATH_STEPS: 2, FINEST: 4 };"
            "document.getElementById('attribute').click();"
            f"const look = () => ({maps}.filter((one) => one.map).length === 10"
            "  || Date.now() > end ? done() : setTimeout(look, 50));"
            "look();"
        )
        drawn = f"return {maps}.map((canvas) => canvas.toDataURL().length)"
        before = opened.execute_script(drawn)
        assert len(before) == 10  # Five methods for each of two runs.
        metrics = {"width": 1100, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        after_a_frame(opened)
        assert opened.execute_script("return window.innerWidth") == 1100
        assert opened.execute_script(drawn) == before
        old = "return document.querySelectorAll('#band-attribution .old').length"
        assert opened.execute_script(old) == 0
        opened.execute_script("live.setStep(0)")
        after_a_frame(opened)
        assert opened.execute_script(old) == 2
        opened.execute_script("live.setStep(150)")
        after_a_frame(opened)
        assert opened.execute_script(old) == 0
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def test_the_images_that_excite_a_kernel_have_the_frame_of_its_patch(
        self, opened: Chrome
    ) -> None:
        opened.execute_script("document.getElementById('search').click()")
        frames = "document.querySelectorAll('#band-units .cell .frame').length"
        opened.execute_async_script(
            "const done = arguments[0], end = Date.now() + 20000;"
            f"const look = () => ({frames} === 18 || Date.now() > end ? done() : setTimeout(look, 50));"
            "look();"
        )
        assert opened.execute_script(f"return {frames}") == 18  # Nine for each of two runs.
        assert opened.get_log("browser") == []


# The run, its weights at its last step, and a function that finishes long work at once.
NETWORK = """
const [run, done] = [live.RUNS[1], arguments[arguments.length - 1]], weights = live.weightsAt(run, 150);
const network = { plan: run.plan, weights, off: {}, effort: run.effort };
const finish = (work) => { let next; do next = work.next(); while (!next.done); return next.value; };
const layerOf = (name) => run.plan.find((layer) => layer.name === name);
"""


@pytest.mark.browser
class TestExplanations:
    """The page explains a network with the same numbers as `lenet.visualize`."""

    @pytest.fixture
    def model(self, run: Path) -> Classifier:
        from lenet.analysis.trained import load_run

        return load_run(run).model

    def test_the_maps_of_all_methods_are_those_of_python(
        self, opened: Chrome, model: Classifier, digits: Dataset
    ) -> None:
        from lenet.analysis import attribution

        image = digits.test.images[7]
        label = int(digits.test.labels[7])
        maps, error = opened.execute_async_script(
            NETWORK
            + "const input = live.toInput(live.decodeBase64(arguments[0]), null), found = {};"
            "for (const [name, method] of Object.entries(live.METHODS))"
            "  found[name] = finish(method(network, input, arguments[1]));"
            "done([Object.entries(found).map(([name, { map }]) => [name, [...map]]),"
            "  found['integrated gradients'].error]);",
            encoded(image),
            label,
        )
        expected = {each.method: each for each in attribution.attribute(model, image, label)}
        assert [name for name, _ in maps] == list(expected)
        for name, ours in maps:
            true = expected[name].values.ravel()
            if name == "SmoothGrad":  # Its noise is random.
                assert np.corrcoef(ours, true)[0, 1] > 0.95
            else:
                np.testing.assert_allclose(ours, true, atol=1e-4 * np.abs(true).max(), err_msg=name)
        assert error == pytest.approx(expected["integrated gradients"].completeness, abs=1e-3)
        assert error < 0.02

    def test_the_similarity_of_two_maps_is_that_of_python(self, opened: Chrome) -> None:
        from lenet.analysis.attribution import similarity

        random = np.random.default_rng(0)
        one, other = random.normal(size=(2, 28, 28)).round(1)  # Rounded, so that some are equal.
        one[:10], other[:12] = 0, 0
        for pair in ((one, other), (one, one * 0), (one[:10], other[:10])):
            ours = opened.execute_script(
                "return live.rankCorrelation(...[...arguments].map((map) => Float32Array.from(map)))",
                *(each.ravel().tolist() for each in pair),
            )
            assert ours == pytest.approx(similarity(*pair), abs=1e-6)

    @pytest.mark.parametrize(("layer", "unit"), [("conv1", 2), ("conv2", 7), ("fc3", 4)])
    def test_the_image_computed_for_a_unit_is_that_of_python(
        self, opened: Chrome, model: Classifier, layer: str, unit: int
    ) -> None:
        from lenet.analysis import units

        random = np.random.default_rng(0)
        start = random.normal(0.5, units.NOISE, 784).astype(np.float32)
        shifts = [random.integers(-units.JITTER, units.JITTER + 1, 2) for _ in range(units.STEPS)]
        ours = opened.execute_async_script(
            NETWORK + "const [name, unit, start, shifts] = arguments;"
            "let image = null, random = { start: Float32Array.from(start), shifts };"
            "for (image of live.maximize(run, weights, layerOf(name), unit, random));"
            "done([...image]);",
            layer,
            unit,
            start.tolist(),
            [shift.tolist() for shift in shifts],
        )
        expected = units.maximize(model, layer, np.array([unit]), (28, 28, 1), seed=0)
        assert np.abs(np.array(ours) - expected.ravel()).max() < 0.01

    @pytest.mark.parametrize(("layer", "unit"), [("conv2", 7), ("fc1", 3)])
    def test_the_images_with_the_highest_values_are_those_of_a_plain_search(
        self, opened: Chrome, model: Classifier, digits: Dataset, layer: str, unit: int
    ) -> None:
        found = opened.execute_async_script(
            NETWORK
            + "const top = finish(live.topImages(run, layerOf(arguments[0]), arguments[1]));"
            "done(top.map(({ example, value }) => [example.number, value]));",
            layer,
            unit,
        )
        numbers = np.arange(200) * len(digits.test) // 200
        values = model.forward(to_float(digits.test.images[numbers]))[1][layer].numpy()
        largest = values[..., unit].reshape(200, -1).max(1)
        order = np.argsort(-largest, kind="stable")[:9]
        assert [number for number, _ in found] == numbers[order].tolist()
        np.testing.assert_allclose([value for _, value in found], largest[order], rtol=1e-4)

    def test_a_large_network_gets_fewer_samples(self, run: Path) -> None:
        from lenet.analysis.trained import load_run
        from lenet.live.effort import FULL, LEAST, REDUCED, effort_of, multiplications

        lenet = load_run(run).model
        # 28×28 and 10×10 positions for the kernels of the convolutions, then the dense layers.
        expected = 784 * 25 * 6 + 100 * 25 * 6 * 16 + 400 * 120 + 120 * 84 + 84 * 10
        assert multiplications(lenet, (28, 28, 1)) == expected
        assert effort_of(lenet, (28, 28, 1)) == FULL
        assert effort_of(MODELS["conv3"]((28, 28, 1)), (28, 28, 1)) == REDUCED
        assert effort_of(MODELS["conv4"]((64, 64, 3)), (64, 64, 3)) == LEAST
        assert LEAST.keys() == REDUCED.keys() == FULL.keys()
        assert all(LEAST[name] <= REDUCED[name] < FULL[name] for name in FULL)
