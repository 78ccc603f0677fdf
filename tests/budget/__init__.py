"""The work of the hot path, counted: `python -m tests.budget` prints it, `test_budget.py` holds it to the budgets."""
