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


def next_step(layers: Layers, store: Store, current: Current) -> Step | None:
    """What is to be done next, None when all is done."""
    accounts = Accounts(layers, store)
    if accounts.has_job():
        return None
    offset, definitions = current()
    if layers.row.moving is None and offset > layers.row.offset and definitions.hash != layers.row.hash:
        row, rows = with_definitions(layers, offset, definitions)
        return Step(accounts.unchanged(rows), row)
    if len(layers.plans) > 1:
        return Step(*Mover(layers, store).slice())
    if layers.row.debris:
        rows, cells, row = swept(layers.row, store)
        return Step(accounts.deleted(rows, cells), row)
    return None
