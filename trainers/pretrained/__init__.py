"""Public weights, and stand-ins for them."""
