"""What crosses a topic: the topic table, message models, codecs, sources, the batch transport, the embedded broker, admin."""
