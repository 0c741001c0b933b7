"""The question that every machine of a cluster answers first: does it have the same software?

Versions of packages and of this project's own code can change the weights, so all machines must
have the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping

PACKAGES = ("tensorflow", "keras", "numpy", "dask", "distributed")
HOST, FOLDER, CODE, ABSENT = "host", "folder", "code", "absent"


def answer(
    packages: tuple[str, ...], folder: str | None = None, wanted: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Describes the software of the machine that runs this function.

    Dask sends this function as code, because a machine without this project cannot import it.
    Therefore it uses nothing from outside its own body.

    Args:
        packages: names of installed packages.
        folder: a folder that this machine must share, or None.
        wanted: if the machine has this software, it imports TensorFlow, so that its first run
            starts sooner.

    Returns:
        The version of Python and of each package, "absent" for missing packages; "host": the name
        of the machine; "code": the sha256 of the project's source files, or "absent"; "folder":
        "absent" if this machine cannot see the folder.
    """
    import hashlib
    import importlib.metadata
    import importlib.util
    import platform
    import socket
    from pathlib import Path

    found = {"host": socket.gethostname(), "python": platform.python_version()}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    digest = hashlib.sha256()
    for name in ("lenet", "experiments"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            return found | {"code": "absent"}
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{name}/{path.relative_to(root)}\0".encode() + path.read_bytes())
    found["code"] = digest.hexdigest()
    if folder is not None and not Path(folder).is_dir():
        found["folder"] = "absent"
    elif wanted is not None and all(found[name] == wanted[name] for name in wanted):
        from lenet.training.runtime import import_tensorflow

        import_tensorflow(lean=True)
    return found


answer.__module__ = "__main__"  # Dask sends the functions of this module as code.


def problem(who: str, found: Mapping[str, str], wanted: Mapping[str, str], folder: str) -> str:
    """What prevents a machine from taking part, in one line with a remedy, or "".

    Args:
        who: "The scheduler tls://…" or "The worker tls://…".
        found: its answer.
        wanted: the answer of this machine.
        folder: the grid's folder.
    """
    who = f"{who} on the machine {found[HOST]}"
    if found[CODE] == ABSENT:
        return (
            f"{who} cannot import lenet. Start it in the folder of the repository with "
            "python -m dask (docs/cluster.md)."
        )
    different = [
        f"{name} {found[name]} instead of {wanted[name]}"
        for name in ("python", *PACKAGES)
        if found[name] != wanted[name]
    ]
    if different:
        return (
            f"{who} has {', '.join(different)}. Install the packages in requirements.lock there, "
            "with the same Python, and start it again."
        )
    if found[CODE] != wanted[CODE]:
        return (
            f"{who} has other source files of lenet than this machine. Use the same commit on "
            "both, and start it again."
        )
    if found.get(FOLDER) == ABSENT:
        return (
            f"{who} cannot see the folder {folder}. Choose a --logdir that all machines share "
            "under the same path."
        )
    return ""


def no_answer(who: str, error: BaseException) -> str:
    """A line about a machine that could not answer, e.g. because its Python is too different."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"{who} cannot be used ({reason}). Install the same Python and the packages in "
        "requirements.lock there, and start it again."
    )
