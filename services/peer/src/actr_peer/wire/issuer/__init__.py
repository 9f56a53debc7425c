"""The issuer, over HTTP: what an actor asks of it, and the certificate that it keeps renewed."""
