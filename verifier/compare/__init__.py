"""A party's or newspaper's own tallies against the signed figures, station by station."""
