"""What crosses a topic: the topic table, formats, sources, the batch transport, the embedded broker, admin."""
