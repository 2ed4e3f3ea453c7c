"""Makes the tokens between services and sidecars, on the standard library alone."""

import json
import secrets
from pathlib import Path

# By their name in the secret store: what a sidecar shows its service, and the other way round.
TOKENS = {"app-api-token": "APP_API_TOKEN", "dapr-api-token": "DAPR_API_TOKEN"}
SECRETS = "secrets.json"


def tokens_in(state: Path) -> dict[str, str]:
    """Return the tokens kept in a state folder; those that are missing are made.

    Raises:
        ValueError: the file is not what it should be; the text says what to do.
    """
    path = state / SECRETS
    try:
        kept = json.loads(path.read_text()) if path.exists() else {}
        tokens = {name: str(kept.get(name) or secrets.token_urlsafe(32)) for name in TOKENS}
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} is no JSON object: remove it, and the next start makes a new one."
        ) from error
    if not tokens.items() <= kept.items():
        state.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps({**kept, **tokens}, indent=2))
    return tokens


if __name__ == "__main__":
    tokens_in(Path(__file__).parent.parent / ".local")
