"""What a plugin may use, by its manifest: checked where the kernel hands it out, and on record."""
