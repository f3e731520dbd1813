"""What organisations write to people. A letter with a token goes to one address."""

from pegboard.mail.message import Message

__all__ = ("invitation",)


def invitation(to: str, *, market: str, organisation: str, role: str, token: str, link: str, days: int) -> Message:
    """Somebody may join an organisation. `link` is the page that `mail.link` names."""
    kind = "organisation_invitation"
    how = link.replace("{kind}", kind).replace("{token}", token) if link else f"Enter this code: {token}"
    paragraphs = (
        f"You are invited to join {organisation} at {market}, as {role}. To accept or decline, log in with this"
        f" address (register first, if you have no account yet), within {days} days:",
        how,
        "If you don't know them, do nothing: without you nobody can go on.",
    )
    return Message(to=to, kind=kind, subject=f"{market}: join {organisation}", text="\n\n".join(paragraphs) + "\n")
