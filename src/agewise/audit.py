"""A log that shows what was decided and that nobody changed it: hash-chained JSON Lines, no pixels."""
