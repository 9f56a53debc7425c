"""protoc-gen-actr: descriptors in, typed services and clients out."""
