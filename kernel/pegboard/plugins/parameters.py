"""Parameters that the administration's routes share."""

from typing import Annotated

from litestar.params import Parameter

__all__ = ("PluginName",)

PluginName = Annotated[str, Parameter(pattern="^[a-z][a-z0-9_]*$", max_length=32, description="The plugin's name.")]
