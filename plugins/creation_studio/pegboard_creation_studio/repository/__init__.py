"""Every query of the plugin."""
