"""Every decoder against hostile input: `laws` says what each promises, `mutation` spoils good input.

`test_laws` is the short, deterministic run of CI; `python -m tests.fuzz` (`make fuzz`) the long, coverage-guided one.
"""
