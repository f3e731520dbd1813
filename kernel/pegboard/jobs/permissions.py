"""Permissions of the job administration: the platform operator's, over the jobs of all tenants."""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = ("GRANTS", "JOB_READ", "JOB_REDRIVE", "PERMISSIONS")

JOB_READ = "kernel:job.read"
JOB_REDRIVE = "kernel:job.redrive"

PERMISSIONS = (
    Permission(JOB_READ, "see the jobs of all tenants, with their payloads and errors"),
    Permission(JOB_REDRIVE, "run dead jobs again"),
)
GRANTS = (RoleGrant("operator", (JOB_READ, JOB_REDRIVE)),)
