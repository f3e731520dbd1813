"""Pegboard's kernel: lifecycle, identity, data, jobs and telemetry for plugins that bring the domains."""

__version__ = "0.1.0"
