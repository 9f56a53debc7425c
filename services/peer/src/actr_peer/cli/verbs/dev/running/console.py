"""The console of the signaling service that ``actr dev`` runs: where it is, and what opens it.

Who looks has to prove who they are where actors do. The proof is in a file, and not in what is
printed: a log has other readers than the folder, which is its user's alone.
"""

from __future__ import annotations

import html
import os
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from actr_peer.cli.verbs.dev.running.identities import Identities
from actr_peer.node.config.settings import Settings
from actr_peer.protocol.wire.addresses import site_of
from actr_peer.state.folder import STATE_FOLDER, make_state_folder

PAGE: Final = Path(STATE_FOLDER, "console.html")
"""In the folder where ``actr dev`` runs."""
_FORM: Final = (
    '<!doctype html>\n<meta charset="utf-8">\n<title>actr console</title>\n'
    '<meta name="referrer" content="no-referrer">\n'
    '<meta http-equiv="refresh" content="0; url={}">\n'
)


def address_of(url: str) -> str:
    """Where the console of the signaling service at ``url`` is."""
    return f"{site_of(url)}/"


def write_page(
    folder: Path, url: str, realm: str, identities: Identities, settings: Settings
) -> Path | None:
    """Write the page that opens the console with what it asks for, for this user alone.

    Returns:
        Its path; None: nothing is asked for, or there is no secret here to answer with.

    Raises:
        OSError: If it cannot be written.
    """
    path = folder / PAGE
    path.unlink(missing_ok=True)  # of a run that was killed
    secret = _secret(identities, settings)
    if not secret:
        return None
    # Behind the #: that part of an address is sent to nobody, and the page takes it out at once.
    target = f"{address_of(url)}#{urlencode({'secret': secret, 'realm': realm})}"
    make_state_folder(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(_FORM.format(html.escape(target)))
    return path


def remove_page(folder: Path) -> None:
    """Whoever listens there next, and may be somebody else, is not to be handed the secret."""
    with suppress(OSError):
        (folder / PAGE).unlink()


def _secret(identities: Identities, settings: Settings) -> str:
    file = None if identities.is_development else settings.realm.secret_file
    if file is None and identities.home is not None:
        file = identities.home / "realm.secret"
    if file is None:
        return ""
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return ""  # who has another secret writes it into the console's own form
