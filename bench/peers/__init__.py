"""`make bench-peers`: one job on milepost's engine and on others, on the same events, broker and machine.

`job` says what is to be done, `expected` what must come out, `contenders` who does it and how each is configured. `run`
is one measured run, watched from outside by `observer`; `report` says what came of them.
"""
