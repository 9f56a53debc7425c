"""Old contract and new contract in, differences that matter out; pure."""
