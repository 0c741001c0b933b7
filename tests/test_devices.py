"""The choice of a device. This computer may have no GPU, so logical processors stand in for GPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from experiments.grid.executor import number_of_workers
from experiments.grid.jobs import Job
from experiments.grid.run_one import with_own_device
from lenet.config import TrainConfig
from lenet.train import main
from lenet.training import devices

TRAIN_ON_A_STAND_IN = """
import json, sys
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from lenet.training.runtime import import_tensorflow

import_tensorflow(lean=True)
processor = tf.config.list_physical_devices("CPU")[0]
three = [tf.config.LogicalDeviceConfiguration()] * 3
tf.config.set_logical_device_configuration(processor, three)

from lenet import TrainConfig, Trainer, load_dataset
from lenet.training import devices

devices.count_gpus = lambda: 2
devices.activate = lambda device: f"/device:CPU:{1 + (devices.number_of(device) or -1)}"
config = TrainConfig(epochs=1, logdir=Path(sys.argv[1]), quiet=True, conv_dropout=0.1)
runs = {}
for device, towers in (("gpu:1", None), ("cpu", 1)):
    options = replace(config, device=device, towers=towers, run_name=device.replace(":", ""))
    trainer = Trainer(options, load_dataset("digits"))
    history = trainer.fit()
    variables = [*trainer.model.trainable_variables, *trainer.optimizer.variables]
    saved = json.loads((history.run / "config.json").read_text())
    runs[device] = {
        "variables": sorted({v.value.device for v in variables if v.dtype == "float32"}),
        "images": trainer.steps._images.device,
        "accuracy": history.test_accuracy,
        "sha256": history.weights_sha256,
        "saved": [saved["device"], saved["towers"]],
    }
print(json.dumps(runs))
"""

CLAIM = """
import sys
from lenet.training import devices
try:
    print(devices.claim_gpu(2), flush=True)
except ValueError as error:
    print(error, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "count_gpus", lambda: 2)
    monkeypatch.setattr(devices, "_claimed", [])
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What two runs report, one on a stand-in for a GPU and one on the processor."""
    logdir = tmp_path_factory.mktemp("devices")
    command = [sys.executable, "-c", TRAIN_ON_A_STAND_IN, str(logdir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class TestPlacement:
    def test_weights_optimizer_and_images_are_on_the_chosen_device(
        self, found: dict[str, Any]
    ) -> None:
        assert [name[-5:] for name in found["gpu:1"]["variables"]] == ["CPU:2"]
        assert found["gpu:1"]["images"].endswith("CPU:2")
        assert [name[-5:] for name in found["cpu"]["variables"]] == ["CPU:0"]

    def test_the_run_says_where_it_was_trained(self, found: dict[str, Any]) -> None:
        assert found["gpu:1"]["saved"] == ["gpu:1", 1]
        assert found["cpu"]["saved"] == ["cpu", 1]

    def test_the_stand_in_computes_the_same_weights_as_the_processor(
        self, found: dict[str, Any]
    ) -> None:
        assert found["gpu:1"]["sha256"] == found["cpu"]["sha256"]


class TestTheOption:
    @pytest.mark.parametrize(
        ("device", "gpus", "expected"),
        [
            ("auto", 0, "cpu"),
            ("auto", 2, "gpu:0"),
            ("cpu", 2, "cpu"),
            ("gpu", 2, "gpu:0"),
            ("gpu:1", 2, "gpu:1"),
        ],
    )
    def test_it_stands_for_one_device(
        self, device: str, gpus: int, expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(devices, "count_gpus", lambda: gpus)
        assert devices.concrete(device) == expected

    @pytest.mark.parametrize(
        "device", ["", "tpu", "gpu:", "gpu:-1", "gpu1", "GPU", "cpu:0", "gpu:0\n"]
    )
    def test_anything_else_is_refused(self, device: str) -> None:
        with pytest.raises(ValueError, match="Expected device to be auto, cpu, gpu, or the number"):
            TrainConfig(device=device)

    def test_a_gpu_that_does_not_exist_is_one_line(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ["--dataset", "digits", "--logdir", str(tmp_path), "--device", "gpu:99"]
        with pytest.raises(SystemExit) as ended:
            main(options)
        assert ended.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith("Error: Cannot train on gpu:99: TensorFlow finds ")
        assert list(tmp_path.iterdir()) == []

    def test_one_tower_is_the_default_on_a_gpu(self) -> None:
        assert TrainConfig(device="gpu:0").resolved(60_000).towers == 1
        assert TrainConfig(device="cpu").resolved(60_000).towers == 2
        assert TrainConfig(device="gpu", towers=3).resolved(60_000).towers == 3


class TestGrids:
    def test_every_worker_gets_its_own_gpu_until_it_dies(self, tmp_path: Path) -> None:
        environment = {"PATH": "", "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
        workers = []
        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable, "-c", CLAIM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            workers.append((process, process.stdout.readline().strip()))
        assert [answer for _, answer in workers][:2] == ["gpu:0", "gpu:1"]
        assert workers[2][1].startswith("Other processes already train on all 2 GPUs")
        workers[1][0].kill()
        workers[1][0].wait()
        again = subprocess.run(
            [sys.executable, "-c", CLAIM], input="", capture_output=True, text=True, env=environment
        )
        assert again.stdout.strip() == "gpu:1"
        for process, _ in workers:
            process.kill()
            process.communicate()

    def test_a_worker_keeps_its_gpu_for_all_its_runs(self, two_gpus: None, tmp_path: Path) -> None:
        job = Job(TrainConfig(device="gpu", logdir=tmp_path), "sha256")
        assert with_own_device(job).config.device == "gpu:0"
        assert with_own_device(job).config.device == "gpu:0"

    @pytest.mark.parametrize("device", ["cpu", "gpu:1"])
    def test_a_named_device_is_kept(self, device: str, two_gpus: None, tmp_path: Path) -> None:
        job = Job(TrainConfig(device=device, logdir=tmp_path), "sha256")
        assert with_own_device(job).config.device == device

    @pytest.mark.parametrize(
        ("device", "gpus", "expected"),
        [("auto", 0, "cpu"), ("auto", 2, "gpu"), ("gpu", 2, "gpu"), ("gpu:1", 1, "gpu:1")],
    )
    def test_its_runs_name_a_kind_of_device(self, device: str, gpus: int, expected: str) -> None:
        assert devices.for_workers(device, gpus) == expected

    @pytest.mark.parametrize(
        ("asked", "runs", "gpus", "expected"),
        [("auto", 9, 0, 4), ("auto", 9, 2, 2), (8, 9, 2, 2), (1, 9, 2, 1), (8, 3, 0, 3)],
    )
    def test_no_gpu_gets_two_runs(
        self,
        asked: Literal["auto"] | int,
        runs: int,
        gpus: int,
        expected: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("os.cpu_count", lambda: 4)
        assert number_of_workers(asked, runs, gpus) == expected

    def test_counting_needs_no_tensorflow_where_there_is_no_driver(self) -> None:
        program = (
            "import sys; from lenet.training import devices; devices.DRIVER_FILES = (); "
            "sys.platform = 'linux'; print(devices.count_for('auto'), 'tensorflow' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.stdout.split() == ["0", "False"]

    def test_a_grid_without_the_gpu_it_asks_for_is_refused(self) -> None:
        with pytest.raises(
            ValueError, match=r"Cannot train on gpu:99: TensorFlow finds .* with --device"
        ):
            devices.count_for("gpu:99")
