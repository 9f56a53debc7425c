"""The requests of others: stored before acknowledged, remembered after done."""
