"""One pure module per analysis: project, empty, advance, and the cells they contribute to."""
