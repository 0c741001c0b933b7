"""Every option of a training run, in one place: a frozen dataclass, validated, to and from JSON.

The file is long because it is a table, with one entry per option.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from lenet import registry
from lenet.defaults import IN_WORDS, MODELS, NOT_WITH, resolve
from lenet.option_checks import (
    DATA,
    DEVICE,
    DROPOUT_RATE,
    FINITE,
    FOLDER_NAME,
    FRACTION,
    LOGGING,
    MACHINE,
    NETWORK,
    NOT_NEGATIVE,
    POSITIVE,
    RUN,
    TRAINING,
    Check,
    alternatives,
    at_least,
    check_option,
    expect,
    fits,
    in_words,
    option,
)
from lenet.registry import (
    Activation,
    Augmentation,
    DatasetName,
    Initializer,
    LearningRateSchedule,
    Optimizer,
    Resize,
)

FEWEST_CHECKPOINTS = 2


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All options of one training run. Paths may be strings.

    `None` means the default of the network, the optimizer or the data set. `resolved()` fills in
    this default once the data set is known.

    Raises:
        ValueError: an option is not one of its choices, is out of its range, or has no effect on
            the network.
    """

    model: str = option(
        "lenet",
        NETWORK,
        f"The network. {MODELS}; MODULE:CLASS: your own class in the file MODULE.py.",
        check=Check(
            f"one of {', '.join(registry.MODELS)}, or your own class as MODULE:CLASS",
            lambda value: value in registry.MODELS or bool(registry.OWN_MODEL.fullmatch(value)),
        ),
        metavar=registry.MODEL_METAVAR,
    )
    activation: Activation = option(
        "relu", NETWORK, "Activation function of every layer except the last."
    )
    fc2_activation: Activation | None = option(
        None,
        NETWORK,
        f"A different activation function for layer fc2. {NOT_WITH['fc2_activation']}",
        shown_default=IN_WORDS["fc2_activation"],
    )
    init: Initializer | None = option(
        None,
        NETWORK,
        "How the kernels are initialized. source: as in the network's original implementation.",
        shown_default=IN_WORDS["init"],
    )
    init_stddev: float = option(
        0.1,
        NETWORK,
        "Standard deviation of --init truncated_normal, which draws no values beyond two "
        "standard deviations.",
        check=POSITIVE,
    )
    init_bias: float | None = option(
        None,
        NETWORK,
        "Initial value of all biases.",
        shown_default=IN_WORDS["init_bias"],
        check=FINITE,
    )
    conv_dropout: float | None = option(
        None,
        NETWORK,
        f"Dropout rate after each pooling layer (training only). {NOT_WITH['conv_dropout']}",
        shown_default=IN_WORDS["conv_dropout"],
        check=DROPOUT_RATE,
    )
    fc_dropout: float | None = option(
        None,
        NETWORK,
        "Dropout rate after each fully connected layer except the last (training only).",
        shown_default=IN_WORDS["fc_dropout"],
        check=DROPOUT_RATE,
    )

    dataset: DatasetName = option(
        "auto",
        DATA,
        "The data set. auto: your images if --data-dir is given; otherwise MNIST from the cache or "
        "the internet; if MNIST is not available, the 1,797 digits included in scikit-learn.",
        on_resume="free",  # The sha256 of the images must be the same.
    )
    data_dir: Path | None = option(
        None,
        DATA,
        "Your images: a folder of photos (train/<class>/… and test/<class>/…, or only <class>/…); "
        "a folder with the four IDX files (raw or .gz); an .npz file with x_train, y_train, x_test "
        "and y_test, or a folder with one such file; or CIFAR-10's archive.",
        shown_default="none",
        on_resume="free",
    )
    image_size: int | None = option(
        None,
        DATA,
        "Width and height in pixels to which the photos in a folder are resized.",
        shown_default=f"{registry.FOLDER_IMAGE_SIZE}; if all photos are squares of the same smaller "
        "size, that size",
        check=at_least(1),
    )
    resize: Resize = option(
        "crop",
        DATA,
        "How photos are resized to squares. crop: scale the shorter side and keep the middle; "
        "squash: scale both sides.",
    )
    classes: tuple[str, ...] | None = option(
        None,
        DATA,
        "Use only these classes from the folder, e.g. cat dog.",
        shown_default="all",
        check=Check("at least one class", bool),
    )
    class_from_name: bool = option(
        False,
        DATA,
        "Read each photo's class from its file name (samoyed_12.jpg: class samoyed). All photos "
        "must be in one folder.",
    )
    test_fraction: float | None = option(
        None,
        DATA,
        "Fraction of the photos used for testing if there is no test/ folder. The choice depends "
        "on the photos' content, so all copies of a photo are in the same set.",
        shown_default=in_words(registry.FOLDER_TEST_FRACTION),
        check=FRACTION,
    )
    skip_bad_files: bool = option(
        False,
        DATA,
        "Skip files that cannot be decoded, with a warning that names them.",
    )

    optimizer: Optimizer = option(
        "adam", TRAINING, "The optimizer, which turns gradients into weight updates."
    )
    learning_rate: float | None = option(
        None,
        TRAINING,
        "Learning rate: the size of the updates.",
        shown_default=IN_WORDS["learning_rate"],
        check=POSITIVE,
    )
    schedule: LearningRateSchedule = option(
        "constant", TRAINING, "How the learning rate changes during training."
    )
    warmup_steps: int = option(
        0,
        TRAINING,
        "Number of steps at the start in which the learning rate rises. With --schedule one_cycle, "
        "0 means "
        f"{100 * registry.ONE_CYCLE_RISE:g} % of all steps.",
        check=at_least(0),
    )
    weight_decay: float | None = option(
        None,
        TRAINING,
        "Weight decay: each update also makes every weight smaller by this share of the learning "
        "rate. It is decoupled from the gradient for every optimizer, so adam with it is adamw. "
        "With sgd it is the same as an L2 penalty.",
        shown_default=IN_WORDS["weight_decay"],
        check=NOT_NEGATIVE,
    )
    clip_norm: float = option(
        0.0,
        TRAINING,
        "Maximum norm of the gradient of all weights together. A longer gradient is scaled down to "
        "it; 0: no maximum.",
        check=NOT_NEGATIVE,
    )
    epochs: int | None = option(
        None,
        TRAINING,
        "Number of passes over the training images.",
        shown_default=IN_WORDS["epochs"],
        check=at_least(1),
        on_resume="may grow",
    )
    batch_size: int | None = option(
        None,
        TRAINING,
        "Number of images per update.",
        shown_default=IN_WORDS["batch_size"],
        check=at_least(1),
    )
    max_steps: int | None = option(
        None,
        TRAINING,
        "Stop after this many updates, for a quick test.",
        shown_default="no limit",
        check=at_least(1),
        on_resume="may grow",
    )
    early_stopping: int = option(
        0,
        TRAINING,
        "Stop if the validation loss has not fallen below its lowest value for this number of "
        "epochs (the patience), and keep the weights with the lowest; 0: train all epochs and keep "
        "the last weights.",
        check=at_least(0),
        on_resume="free",
    )
    validation_fraction: float | None = option(
        None,
        TRAINING,
        "Fraction of the training images that are used for validation instead. The choice depends "
        "only on the images' content. The test images decide nothing.",
        shown_default=IN_WORDS["validation_fraction"],
        check=DROPOUT_RATE,
    )
    augment: tuple[Augmentation, ...] = option(
        (),
        TRAINING,
        "Random changes to each training image, different in every epoch. They reduce overfitting.",
        shown_default="none",
    )
    seed: int = option(
        0,
        TRAINING,
        "Random seed for the initial weights, the order of the images, dropout and augmentation.",
        check=at_least(0),
    )

    logdir: Path = option(
        Path("summary_logs"), RUN, "The folder for all runs. Each run creates its own folder there."
    )
    run_name: str | None = option(
        None,
        RUN,
        "Name of the run's folder in --logdir.",
        shown_default="data set, model, activation, optimizer, seed and time",
        check=FOLDER_NAME,
    )
    resume: Path | None = option(
        None,
        RUN,
        "Continue the run in this folder with the options it was started with. You can change "
        "options that do not affect the finished steps, e.g. increase --epochs.",
        shown_default="start a new run",
        on_resume="free",
    )

    like: Path | None = option(
        None,
        RUN,
        "Start a new run with the options of the run in this folder, except --logdir and "
        "--run-name. Options that you give take precedence.",
        shown_default="none",
        on_resume="free",
    )

    log_every: int = option(
        1,
        LOGGING,
        "Number of steps between logged values of the training loss and accuracy.",
        check=at_least(1),
        on_resume="free",
    )
    inspect_every: int = option(
        200,
        LOGGING,
        "Number of steps between inspections (histograms, kernel images and diagnostics of all "
        "layers); 0: no inspections.",
        check=at_least(0),
        on_resume="free",
    )
    eval_every: int = option(
        0,
        LOGGING,
        "Number of steps between extra evaluations on the test images; 0: evaluate only after "
        "each epoch.",
        check=at_least(0),
        on_resume="free",
    )
    eval_size: int = option(
        0,
        LOGGING,
        "Number of random test images in the extra evaluations; 0: all. End-of-epoch evaluations "
        "always use the whole test set.",
        check=at_least(0),
        on_resume="free",
    )
    checkpoint_every: int = option(
        0,
        LOGGING,
        "Number of steps between extra checkpoints; 0: save only after each epoch.",
        check=at_least(0),
        on_resume="free",
    )
    keep: int = option(
        FEWEST_CHECKPOINTS,
        LOGGING,
        f"Number of checkpoints to keep, at least {FEWEST_CHECKPOINTS}.",
        check=at_least(FEWEST_CHECKPOINTS),
        on_resume="free",
    )
    profile: bool = option(
        False,
        LOGGING,
        "Record a profile of a few steps in the middle of training, for TensorBoard.",
        on_resume="free",
    )
    figures: bool = option(
        True,
        LOGGING,
        "After training, draw the figures that take little time, and write a page that shows them.",
        on_resume="free",
    )
    quiet: bool = option(False, LOGGING, "Print only warnings and the result.", on_resume="free")

    device: str = option(
        "auto",
        MACHINE,
        "Where to train. auto: the first GPU if there is one, otherwise the processor; cpu: the "
        "processor; gpu: the first GPU; gpu:1: the second GPU. In a grid, auto and gpu give each "
        "worker its own GPU. A different device changes how sums are rounded.",
        check=DEVICE,
        on_resume="free",
    )
    deterministic: bool = option(
        True, MACHINE, "Use only operations that return exactly the same results every time."
    )
    threads: int = option(
        2,
        MACHINE,
        "Number of processors to use. It changes the speed, not the weights.",
        check=at_least(1),
        on_resume="free",
    )
    towers: int | None = option(
        None,
        MACHINE,
        "Number of parts into which each batch is split. The parts go through the convolutional "
        "layers in parallel. The fully connected layers take the whole batch. A different number "
        "changes how sums are rounded, and therefore the weights.",
        shown_default=IN_WORDS["towers"],
        check=at_least(1),
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, str) and Path in alternatives(_hints()[each.name]):
                object.__setattr__(self, each.name, Path(value))
            check_option(each, _hints()[each.name], getattr(self, each.name))
        if self.early_stopping and self.validation_fraction == 0:
            raise ValueError(
                "Expected validation_fraction above 0 with early_stopping, which needs validation "
                "images. Received: validation_fraction=0"
            )
        # With these values, the options have no effect on any network.
        neutral = {"fc2_activation": self.activation, "conv_dropout": 0.0}
        for name, (models, reason) in registry.WITHOUT_EFFECT.items():
            value = getattr(self, name)
            if self.model in models and value not in (None, neutral[name]):
                raise ValueError(
                    f"Expected no {name} with model={self.model!r}, because {reason}. "
                    f"Received: {name}={value!r}"
                )

    def resolved(self, images: int) -> TrainConfig:
        """This config with all defaults of the network, the optimizer and the data set filled in.

        Args:
            images: the number of training images.

        Returns:
            A config in which only the options of a folder of photos, `max_steps`, `data_dir`,
            `run_name`, `resume` and, with init="source", `init_bias` can be None.
        """
        chosen = resolve(
            self.model,
            self.activation,
            self.optimizer,
            self.init,
            images,
            self.device,
            self.early_stopping,
        )
        return replace(
            self, **{name: value for name, value in chosen.items() if getattr(self, name) is None}
        )

    def with_usual_options(self, images: int) -> TrainConfig:
        """The inverse of `resolved`: options with their default value become None.

        Args:
            images: the number of training images.
        """
        usual = TrainConfig(
            model=self.model,
            activation=self.activation,
            optimizer=self.optimizer,
            init=self.init,
            device=self.device,
            early_stopping=self.early_stopping,
        ).resolved(images)
        usual = replace(usual, init=registry.model_defaults(self.model)["init"])
        names = [f.name for f in fields(self) if f.default is None]
        at_default = [name for name in names if getattr(self, name) == getattr(usual, name)]
        return replace(self, **dict.fromkeys(at_default))

    def to_json(self) -> dict[str, Any]:
        """The options as JSON values. Paths become absolute, so they are valid from any folder."""
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
        """The inverse of `to_json`. Names that are not options are ignored.

        Raises:
            ValueError: a value is not valid for its option.
        """
        given: dict[str, Any] = {
            name: _from_json(name, values[name], hint)
            for name, hint in _hints().items()
            if name in values
        }
        return cls(**given)


@functools.cache
def _hints() -> dict[str, Any]:
    """The type of each option."""
    return get_type_hints(TrainConfig)


def _from_json(name: str, value: Any, hint: Any) -> Any:
    """A JSON value as the type of its option."""
    is_path = isinstance(value, str) and Path in alternatives(hint)
    converted = Path(value) if is_path else tuple(value) if isinstance(value, list) else value
    expect(name, "a value of its type", value, fits(converted, hint))
    return converted
