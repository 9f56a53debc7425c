"""Sans-I/O: durable calls at the caller, and what each remote owes of them."""
