//! Draws the random faults of a scenario for a seed.
