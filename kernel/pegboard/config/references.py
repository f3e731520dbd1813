"""References to secrets in settings: `env:NAME`, `file:PATH` and `vault:MOUNT/PATH#FIELD`."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pegboard.config.vault_server import VaultServer

__all__ = ("References",)


class References:
    """Follows references. `folder` is what relative paths start from, `environ` where variables are looked up.

    Each secret of a vault server is asked for once, however many settings name its fields.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ

    def resolve(self, text: str) -> str:
        """The text that `text` refers to; a text that is no reference is itself.

        Raises:
            ValueError: the reference leads nowhere; says what to do.
        """
        scheme, separator, target = text.partition(":")
        if separator and scheme == "env":
            return self._variable(target)
        if separator and scheme == "file":
            return self._file(target)
        if separator and scheme == "vault":
            return self._vault.read(target)
        return text

    def _variable(self, name: str) -> str:
        if name not in self._environ:
            raise ValueError(f"the environment variable {name} is not set")
        return self._environ[name]

    def _file(self, name: str) -> str:
        path = self._folder / Path(name).expanduser()
        try:
            return path.read_bytes().decode().removesuffix("\n").removesuffix("\r")
        except OSError as error:
            raise ValueError(f"{path} can't be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text") from error

    @cached_property
    def _vault(self) -> "VaultServer":
        # An HTTP client is a tenth of a second of imports, which most installations have no use for here.
        from pegboard.config.vault_server import VaultServer

        return VaultServer(self._environ)
