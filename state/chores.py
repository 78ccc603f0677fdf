"""What a partition does without input: it goes over to other definitions, moves accounts into the newest layer, and
sweeps what that leaves behind. One step is one commit; there is none while a record is half applied."""

from typing import NamedTuple

from state.account_batch import Outcome
from state.accounts import Accounts
from state.layers import Current, Layers, LayersRow, with_definitions
from state.moving import Mover, swept
from streams.store import Store


class Step(NamedTuple):
    """What a step changes, and the layers behind it, whose rows are among the outcome's."""

    outcome: Outcome
    row: LayersRow


LAYERS_MAX = 8
"""Other definitions wait while there are so many, for each has to be moved from."""


def next_step(layers: Layers, store: Store, current: Current, parts: int = 1) -> Step | None:
    """What is to be done next, None when all is done. parts: of which a usual step is to be one."""
    accounts = Accounts(layers, store)
    if accounts.has_job():
        return None
    offset, definitions = current()
    is_other = offset > layers.row.offset and definitions.hash != layers.row.hash
    if is_other and layers.row.moving is None and len(layers.plans) < LAYERS_MAX:
        row, rows = with_definitions(layers, offset, definitions)
        return Step(accounts.outcome_of(rows), row)
    if layers.row.debris:
        rows, cells, row = swept(layers.row, store, parts)
        return Step(accounts.outcome_of(rows, cells), row)
    if len(layers.plans) > 1:
        return Step(*Mover(layers, store, parts).slice())
    return None
