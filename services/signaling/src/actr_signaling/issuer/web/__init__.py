"""The issuer over HTTP: routes, the server, and the form that another application mounts."""
