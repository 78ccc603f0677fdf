"""What is to be sent to the outside, and what became of it: routes, outbox, retries. Pure; `agents.delivery` sends."""
