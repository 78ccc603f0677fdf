"""What a stage says whose records are small, and that has nothing to do without input."""

from streams.stage import Record, Slice, Work


class SmallStage:
    """No record of it is cut, and there are no chores."""

    def slice(self, record: Record, clock_ms: int) -> Slice | None:
        return None

    def is_halfway(self) -> bool:
        return False

    def chore(self, clock_ms: int, parts: int) -> Work | None:
        return None

    def chore_failed(self) -> None:
        pass

    def due_ms(self) -> int | None:
        return None
