"""What can be wrong with an envelope. The administrator mends it: a caller over HTTP sees an internal error."""

__all__ = ("EnvelopeDamaged", "MasterKeyUnknown", "VaultError")


class VaultError(Exception):
    """A secret can't be opened."""


class MasterKeyUnknown(VaultError):
    """The envelope was sealed under a master key that is not configured."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"This was sealed under the master key {key_id}, which is not configured: set secrets.master_key to the key"
            " that this installation was started with, or put that into secrets.earlier_master_keys."
        )
        self.key_id = key_id


class EnvelopeDamaged(VaultError):
    """The envelope was changed, or belongs to another tenant or name."""

    def __init__(self) -> None:
        super().__init__("The envelope was changed, or it was sealed for another tenant or name. Set the secret again.")
