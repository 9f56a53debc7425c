"""Shell: what the issuer says, from files or over HTTP, kept up to date while this runs."""
