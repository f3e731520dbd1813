"""What organisations write to people. A letter with a token goes to one address."""

from pegboard.identity.markets import Market
from pegboard.mail.message import Message

__all__ = ("invitation",)


def invitation(to: str, market: Market, *, organisation: str, role: str, token: str, days: int) -> Message:
    """Somebody may join an organisation, for `days` days."""
    kind = "organisation_invitation"
    link = market.link.replace("{kind}", kind).replace("{token}", token)
    how = link or f"Enter this code: {token}"
    paragraphs = (
        f"You are invited to join {organisation} at {market.name}, as {role}. To accept or decline, log in with this"
        f" address (register first, if you have no account yet), within {days} days:",
        how,
        "If you don't know them, do nothing: without you nobody can go on.",
    )
    return Message(to=to, kind=kind, subject=f"{market.name}: join {organisation}", text="\n\n".join(paragraphs) + "\n")
