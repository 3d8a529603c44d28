"""All that knows the frp programs: finding, configuring, watching and asking them."""
