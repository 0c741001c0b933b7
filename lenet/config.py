"""Every option of a training run, once: a frozen dataclass, validated, JSON in and out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lenet import registry
from lenet.registry import (
    Activation,
    Augmentation,
    DatasetName,
    Initializer,
    LearningRateSchedule,
    ModelName,
    Optimizer,
    Resize,
)


def option(default: Any, group: str, help: str, shown_default: str | None = None) -> Any:
    """A dataclass field that also says where it stands in `--help` and what it means."""
    return field(
        default=default, metadata={"group": group, "help": help, "shown_default": shown_default}
    )


NETWORK, DATA, TRAINING, RUN, LOGGING, MACHINE = (
    "network",
    "data",
    "training",
    "run",
    "logging",
    "machine",
)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All options of one training run.

    `None` means "as the model, the optimizer or the data set has it"; `resolved()`
    puts the number in its place once the data set is known.

    Raises:
        ValueError: an option is not one of its choices, or out of its range.
    """

    model: ModelName = option("lenet", NETWORK, "Which network.")
    activation: Activation = option(
        "relu", NETWORK, "The non-linearity after every layer but the last."
    )
    fc2_activation: Activation | None = option(
        None, NETWORK, "Another non-linearity for fc2 alone.", "as --activation"
    )
    init: Initializer | None = option(
        None,
        NETWORK,
        "How kernels are drawn at the start; source: as the network's own source has it.",
        "lenet glorot_uniform, conv3 and conv4 source",
    )
    init_stddev: float = option(
        0.1, NETWORK, "Standard deviation of --init truncated_normal (two of them at most)."
    )
    init_bias: float | None = option(
        None, NETWORK, "Every bias at the start.", "0; 0.1 with --init truncated_normal"
    )
    conv_dropout: float | None = option(
        None,
        NETWORK,
        "The share of values dropped behind each pooling, in training.",
        "0; conv4 0.8",
    )
    fc_dropout: float | None = option(
        None,
        NETWORK,
        "The share dropped behind each fully connected layer but the last, in training.",
        "0; conv3 and conv4 0.5",
    )

    dataset: DatasetName = option(
        "auto",
        DATA,
        "Which images. auto: those of --data-dir, else MNIST from the cache or the network, "
        "else the 1,797 digits bundled with scikit-learn.",
    )
    data_dir: Path | None = option(
        None,
        DATA,
        "A folder with the four IDX files (raw or .gz) or one .npz of x_train, y_train, "
        "x_test, y_test; or that .npz itself; or CIFAR-10's archive; or a folder of pictures: "
        "train/<class>/… and test/<class>/…, or <class>/… alone.",
        "none",
    )
    image_size: int | None = option(
        None,
        DATA,
        "Side of the images that a folder of pictures becomes, in pixels.",
        f"{registry.FOLDER_IMAGE_SIZE}, or the pictures' own where all are squares of one size up to that",
    )
    resize: Resize = option(
        "crop",
        DATA,
        "How pictures become square: crop scales the shorter side and takes the middle, squash "
        "scales both.",
    )
    classes: tuple[str, ...] | None = option(
        None, DATA, "Only these of a folder's classes, e.g. cat dog.", "all"
    )
    class_from_name: bool = option(
        False,
        DATA,
        "The pictures lie in one folder, each with its class in its name: samoyed_12.jpg.",
    )
    test_fraction: float | None = option(
        None,
        DATA,
        "The share of pictures to test on where the folder has no test/ of its own; chosen by "
        "the files' content, so that copies stay together.",
        str(registry.FOLDER_TEST_FRACTION),
    )
    skip_bad_files: bool = option(
        False, DATA, "Go on without files that cannot be decoded, naming them."
    )

    optimizer: Optimizer = option("adam", TRAINING, "How gradients become updates.")
    learning_rate: float | None = option(
        None,
        TRAINING,
        "Size of the updates.",
        "the model's own (conv3 1e-4, conv4 1e-5, with adam), or else the optimizer's: "
        + ", ".join(
            f"{name} {spec['learning_rate']}" for name, spec in registry.OPTIMIZERS.items()
        ),
    )
    schedule: LearningRateSchedule = option(
        "constant", TRAINING, "How the learning rate moves over the whole training."
    )
    warmup_steps: int = option(
        0,
        TRAINING,
        "Steps over which the rate first rises. 0 with --schedule one_cycle: 30 % of all steps.",
    )
    epochs: int | None = option(
        None, TRAINING, "Passes over the training images.", "5; 60 for digits"
    )
    batch_size: int | None = option(
        None, TRAINING, "Images per update.", "100; conv4 10; 32 for digits"
    )
    max_steps: int | None = option(
        None, TRAINING, "Stop after this many updates: for a quick try.", "no limit"
    )
    augment: tuple[Augmentation, ...] = option(
        (),
        TRAINING,
        "Change each training image a little, another way every time: a cure for overfitting.",
        "none",
    )
    seed: int = option(0, TRAINING, "Decides the first weights and the order of the images.")

    logdir: Path = option(Path("summary_logs"), RUN, "The folder runs are written to.")
    run_name: str | None = option(
        None,
        RUN,
        "The run's folder inside --logdir.",
        "<dataset>-<model>-<activation>-<optimizer>-seed<seed>-<time>",
    )
    resume: Path | None = option(
        None, RUN, "Go on with the run in this folder, with the options it was started with.", "no"
    )

    log_every: int = option(1, LOGGING, "Steps between the train points of loss and accuracy.")
    inspect_every: int = option(
        200, LOGGING, "Steps between histograms and kernel pictures; 0: none."
    )
    eval_every: int = option(
        0,
        LOGGING,
        "Steps between evaluations on the test images, besides each epoch's end; 0: none.",
    )
    eval_size: int = option(
        0,
        LOGGING,
        "Random test images in the evaluations of --eval-every; 0: all. Those at an epoch's end are always of all.",
    )
    checkpoint_every: int = option(
        0, LOGGING, "Steps between checkpoints, besides each epoch's end; 0: none."
    )
    keep: int = option(2, LOGGING, "How many checkpoints to keep, at least 2.")
    profile: bool = option(
        False, LOGGING, "Record a profile of a few steps in the middle of training."
    )
    figures: bool = option(
        True, LOGGING, "End by drawing the quick part of the figures, with a page to open."
    )
    quiet: bool = option(False, LOGGING, "Print only warnings and the outcome.")

    deterministic: bool = option(
        True, MACHINE, "Allow only operations that give the same bits each time."
    )
    threads: int = option(2, MACHINE, "Processors to use: changes the speed, never the bits.")
    towers: int = option(
        2,
        MACHINE,
        "Parts each batch is split into, to be worked on side by side: changes the bits.",
    )

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            _check_choice(name, getattr(self, name), hint)
        at_least = {
            "epochs": 1, "batch_size": 1, "max_steps": 1, "log_every": 1, "keep": 2,
            "threads": 1, "towers": 1, "seed": 0, "warmup_steps": 0, "inspect_every": 0,
            "eval_every": 0, "eval_size": 0, "checkpoint_every": 0, "image_size": 1,
        }  # fmt: skip
        for name, least in at_least.items():
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise ValueError(
                    f"Expected {name} to be a whole number of at least {least}. "
                    f"Received: {name}={value!r}"
                )
        for name in ("learning_rate", "init_stddev"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(
                    f"Expected {name} to be a finite number above 0. Received: {name}={value!r}"
                )
        if self.test_fraction is not None and not 0 < self.test_fraction < 1:
            raise ValueError(
                "Expected test_fraction to be a number between 0 and 1. "
                f"Received: test_fraction={self.test_fraction!r}"
            )
        if self.init_bias is not None and not math.isfinite(self.init_bias):
            raise ValueError(
                f"Expected init_bias to be a finite number. Received: init_bias={self.init_bias!r}"
            )
        for name in ("conv_dropout", "fc_dropout"):
            rate = getattr(self, name)
            if rate is not None and not 0 <= rate < 1:
                raise ValueError(
                    f"Expected {name} to be from 0 to less than 1. Received: {name}={rate!r}"
                )
        if self.run_name is not None and not _is_folder_name(self.run_name):
            raise ValueError(
                "Expected run_name to be the name of one folder, without slashes. "
                f"Received: run_name={self.run_name!r}"
            )

    def resolved(self, dataset_name: str) -> TrainConfig:
        """This config with every default of the model, the optimizer and the data set put in.

        Args:
            dataset_name: what the images turned out to be, e.g. "mnist" or "digits".

        Returns:
            A config in which only `max_steps`, `data_dir`, `run_name`, `resume` and, with the
            source's initialization, `init_bias` may be None.
        """
        own = registry.MODEL_DEFAULTS[self.model]
        defaults = registry.DATASET_DEFAULTS.get(dataset_name, registry.TRAINING_DEFAULTS)
        rate = registry.OPTIMIZERS[self.optimizer]["learning_rate"]
        if own.get("optimizer") == self.optimizer:
            rate = own.get("learning_rate", rate)
        init = self.init or own.get("init")
        chosen = {
            "fc2_activation": self.activation,
            "init": init,
            # The source's biases may differ from layer to layer.
            "init_bias": {"source": None, "truncated_normal": 0.1}.get(init or "", 0.0),
            "conv_dropout": own.get("conv_dropout"),
            "fc_dropout": own.get("fc_dropout"),
            "learning_rate": rate,
            "epochs": defaults["epochs"],
            "batch_size": own.get("batch_size", defaults["batch_size"]),
        }
        return replace(
            self, **{name: value for name, value in chosen.items() if getattr(self, name) is None}
        )

    def to_json(self) -> dict[str, Any]:
        """The options as JSON values; paths become absolute, so that any folder can read them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: str(value.resolve())
            if isinstance(value, Path)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainConfig:
        """The inverse of `to_json`; names that are no options are passed over.

        Raises:
            ValueError: a value is not valid for its option.
        """
        hints = get_type_hints(cls)
        given: dict[str, Any] = {
            name: _from_json(value, hints[name]) for name, value in values.items() if name in hints
        }
        return cls(**given)


def _from_json(value: Any, hint: Any) -> Any:
    """A value as its option has it, where JSON has no such type."""
    if isinstance(value, str) and Path in _alternatives(hint):
        return Path(value)
    return tuple(value) if isinstance(value, list) else value


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union type; of any other type, the type alone."""
    return get_args(hint) if get_origin(hint) is not Literal and get_args(hint) else (hint,)


def _check_choice(name: str, value: object, hint: Any) -> None:
    for alternative in _alternatives(hint):
        if get_origin(alternative) is Literal and value is not None:
            choices = get_args(alternative)
            for chosen in value if isinstance(value, tuple) else (value,):
                if chosen not in choices:
                    raise ValueError(
                        f"Expected {name} to be one of {', '.join(choices)}. "
                        f"Received: {name}={chosen!r}"
                    )


def _is_folder_name(name: str) -> bool:
    return name == Path(name).name and name not in ("", ".", "..") and "\0" not in name
