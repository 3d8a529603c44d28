"""Who moved how many bytes: counters, and the ways to fill them."""
