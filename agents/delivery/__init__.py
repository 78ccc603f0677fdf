"""Sending: what touches the network, the disk and the clock for deliveries. `state.delivery` decides what is sent."""
