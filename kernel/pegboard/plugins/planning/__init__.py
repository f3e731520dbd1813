"""Plans: what a change of plugins would do, shown before anything changes and applied only while it still holds."""
