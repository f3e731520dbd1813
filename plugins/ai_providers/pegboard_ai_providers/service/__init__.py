"""The rules of the plugin."""
