"""One file for each verb of actr, or for each family of them."""
