"""What other plugins may refer to: finance's escrows do, to orders."""

from pegboard_sdk.records import RecordType

__all__ = ("RECORD_TYPES",)

RECORD_TYPES = (
    RecordType(
        name="creation_studio.gig",
        table="creation_studio_gigs",
        label="title",
        deleted="deleted_at IS NOT NULL",
    ),
    RecordType(name="creation_studio.order", table="creation_studio_orders", label="gig_title"),
)
