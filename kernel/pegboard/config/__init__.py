"""Configuration: what an administrator writes, read and checked."""
