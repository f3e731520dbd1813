"""The plugin's routes."""

from pegboard_sdk.http import Controller

from pegboard_creation_studio.controllers.gigs import GigController
from pegboard_creation_studio.controllers.orders import OrderController

__all__ = ("CONTROLLERS", "GigController", "OrderController")

CONTROLLERS: tuple[type[Controller], ...] = (GigController, OrderController)
