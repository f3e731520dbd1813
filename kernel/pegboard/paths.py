"""Where things are: in a checkout or in an installed wheel. Nothing is read at import."""

from collections.abc import Mapping
from pathlib import Path

__all__ = ("CONFIG_NAME", "config_path", "config_template", "migrations_root", "project_root")

CONFIG_NAME = "plugins.toml"

_PACKAGE = Path(__file__).resolve().parent


def project_root() -> Path | None:
    """The checkout that this code runs from; None where it was installed from a wheel."""
    root = _PACKAGE.parent.parent
    return root if _PACKAGE.parent.name == "kernel" and (root / "pyproject.toml").is_file() else None


def migrations_root() -> Path:
    """The folder with one folder of migrations per app.

    A checkout's own comes first: an editable install leaves a copy in site-packages, which grows stale.
    """
    root = project_root()
    return root / "migrations" if root is not None else _PACKAGE / "_migrations"


def config_template() -> Path:
    """The `plugins.toml` that `pegboard config init` writes: the checkout's, or the wheel's copy of it."""
    root = project_root()
    return root / CONFIG_NAME if root is not None else _PACKAGE / "_plugins.toml"


def config_path(environ: Mapping[str, str], folder: Path) -> Path:
    """The configuration's file: `PEGBOARD_CONFIG`, else the one in `folder`, else the checkout's. It need not exist."""
    named = environ.get("PEGBOARD_CONFIG")
    if named:
        return folder / named
    here = folder / CONFIG_NAME
    root = project_root()
    return here if root is None or here.is_file() else root / CONFIG_NAME
