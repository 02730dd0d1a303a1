"""Results of trials, and the statistics that compare them."""
