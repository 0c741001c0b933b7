"""`python -m experiments.grid.certificates FOLDER`: the certificates of a cluster of your own.

Dask's TLS: every program of a cluster shows a certificate that the same authority has signed
(https://distributed.dask.org/en/stable/tls.html). Dask does not compare host names, so one
certificate serves all machines. The authority's key is not kept: nobody can sign another one.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lenet import cli, files

CA_FILE, CERT, KEY = "ca.pem", "cert.pem", "key.pem"
DAYS = 365
EARLIER = datetime.timedelta(minutes=10)  # The clocks of the machines differ a little.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Returns:
        0 if the certificates were written.

    Raises:
        SystemExit: `--help` (0), or a user error (2).
    """
    parser = cli.ArgumentParser(
        prog="python -m experiments.grid.certificates",
        description="Writes the certificates that the scheduler, the workers and the grid of a "
        "cluster need to connect to each other. docs/cluster.md explains how to use them.",
    )
    parser.add_argument("folder", type=Path, help=f"the folder for {CA_FILE}, {CERT} and {KEY}")
    parser.add_argument(
        "--days", type=int, default=DAYS, help=f"how long they are valid (default: {DAYS} days)"
    )
    options = parser.parse_args(arguments)
    if options.days < 1:
        parser.error(f"Expected --days to be at least 1. Received: {options.days}")
    try:
        write_certificates(options.folder, options.days)
    except OSError as error:
        cli.fail(error)
    print(
        f"Wrote {CA_FILE}, {CERT} and {KEY} to {options.folder}, valid for {options.days} days.\n"
        f"Copy them to every machine of the cluster. Everyone who can read {KEY} can run programs "
        "on these machines."
    )
    return 0


def write_certificates(folder: Path, days: int = DAYS) -> None:
    """Writes the certificate of an authority, and one certificate that it signed, with its key.

    Args:
        folder: only its owner can read it, if it does not exist yet.
        days: how long the certificates are valid.

    Raises:
        OSError: the folder contains certificates, or cannot be written.
    """
    files.make_folder(folder, "certificates", "choose another folder")
    existing = [name for name in (CA_FILE, CERT, KEY) if (folder / name).exists()]
    if existing:
        raise OSError(
            f"{folder} already contains {', '.join(existing)}. Choose another folder, or delete "
            "these files first."
        )
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("lenet cluster authority", authority_key, None, authority_key, days)
    certificate = _certificate("lenet cluster", key, authority, authority_key, days)
    _write_privately(
        folder / KEY,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    files.write(folder / CA_FILE, authority.public_bytes(serialization.Encoding.PEM))
    files.write(folder / CERT, certificate.public_bytes(serialization.Encoding.PEM))


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate | None,
    authority_key: ec.EllipticCurvePrivateKey,
    days: int,
) -> x509.Certificate:
    """A certificate for a key, signed by an authority, or by itself if there is none."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    public = authority_key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _write_privately(path: Path, content: bytes) -> None:
    """Writes a new file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


if __name__ == "__main__":
    sys.exit(main())
