"""How rows of other systems' files become events: the mapping file, and what it compiles to."""
