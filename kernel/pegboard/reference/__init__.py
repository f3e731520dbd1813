"""The reference of `docs/reference`, written from what Pegboard's code really declares.

It says nothing of the machine, the day or the configuration that it was written with, so that writing it anew shows
just what changed.
"""
