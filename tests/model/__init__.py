"""An explicit-state model of the commit protocol; `python -m tests.model` explores it further than the tests do."""
