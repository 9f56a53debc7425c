"""What we are measured beside: the libraries below us, and grpc.aio."""
