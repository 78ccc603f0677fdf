"""The literals of one SQL statement: parameters with names, so that no text of a user ever becomes SQL."""

Literal = str | int | float | bool


class Literals:
    """Collects the values of a statement; what a method returns is how the SQL refers to the value."""

    def __init__(self) -> None:
        self.values: dict[str, Literal] = {}

    def text(self, value: str) -> str:
        """A VARCHAR."""
        return self._add(value, "VARCHAR")

    def whole(self, value: int) -> str:
        """A HUGEINT."""
        return self._add(str(value), "HUGEINT")

    def real(self, value: float) -> str:
        """A DOUBLE."""
        return self._add(value, "DOUBLE")

    def truth(self, value: bool) -> str:
        """A BOOLEAN."""
        return self._add(value, "BOOLEAN")

    def _add(self, value: Literal, sql_type: str) -> str:
        name = f"l{len(self.values)}"
        self.values[name] = value
        return f"CAST(${name} AS {sql_type})"
