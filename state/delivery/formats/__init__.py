"""What a delivery looks like to who receives it; a file per form. Pure: bytes and texts out, nothing is sent."""
