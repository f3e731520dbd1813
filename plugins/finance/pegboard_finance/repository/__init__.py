"""Every query of the plugin. Row-level security filters by tenant; only inserts name it."""
