"""The wire contract of actr: generated from the .proto files beside it."""
