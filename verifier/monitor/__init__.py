"""Publisher, CDN and mirrors beside each other: who shows what, how late, and whether they tell one story."""
