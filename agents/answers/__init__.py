"""What a worker answers over HTTP, from the rows and sums of what it owns; who asks is `agents.query_client`."""
