"""A mirror: a folder that holds every verified file of an election, caught up from places that nobody has to trust."""
