"""What must come out, computed in SQL from the events' bytes: it shares nothing with the job but the list of steps."""

from pathlib import Path
from typing import Any

import duckdb

from bench.peers.job import STEPS

Result = dict[str, dict[str, Any]]
"""The state of each account, as its JSON has it."""

_READ = """
create table events as
select account, type, id, lag(type) over (partition by account order by id) as before
from read_json(?, format = 'newline_delimited', columns = {account: 'varchar', type: 'varchar', id: 'varchar'})
"""
_FIRST = "create table reached_1 as select account, min(id) as id from events where type = ? group by account"
_NEXT = """
create table reached_{next} as
select account, min(events.id) as id from events join reached_{step} as reached using (account)
where type = ? and events.id > reached.id group by account
"""
_COUNTS = "select account, count(*), arg_max(type, id) from events group by account"
_TRANSITIONS = """
select account, before || '>' || type, count(*) from events where before is not null group by account, before, type
"""


def expected_result(path: Path) -> Result:
    """The final states. path: the events, one JSON object a line; their ids rise with time."""
    with duckdb.connect() as sql:
        sql.execute(_READ, [str(path)])
        result: Result = {
            account: {"count": count, "step": 0, "last": last, "transitions": {}}
            for account, count, last in sql.execute(_COUNTS).fetchall()
        }
        for account, transition, count in sql.execute(_TRANSITIONS).fetchall():
            result[account]["transitions"][transition] = count
        for step, type_ in enumerate(STEPS):
            sql.execute(_NEXT.format(step=step, next=step + 1) if step else _FIRST, [type_])
            for (account,) in sql.execute(f"select account from reached_{step + 1}").fetchall():
                result[account]["step"] = step + 1
        return result
