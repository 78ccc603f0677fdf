"""Time limits on the arrows of a canvas, in SQL over `arrival`, `matching` and `followed` (`check.canvas`).

Of the arrivals at the origin that lie far enough back, the latest is the one that has to be near enough.
"""

from state.definitions import Arrow, Canvas

HOUR_MS = 3_600_000


def limited_sql(arrow: Arrow) -> str:
    """The statement that adds to `along` the places that come along the arrow with the number $number."""
    # What is later by `after` lies behind in any case; without it places decide, for times may be equal.
    far_enough = (
        f"there.event_time - {arrow.after_ms} >= here.event_time" if arrow.after else "there.place > here.place"
    )
    near_enough = "TRUE" if arrow.within is None else f"there.event_time - here.event_time <= {arrow.within_ms}"
    return f"""
        INSERT INTO along
        SELECT there.container, there.number, there.place, there.event_time, there.value
        FROM (SELECT matching.*, number, origin FROM matching JOIN arrow ON node = target
              WHERE number = $number) AS there
        ASOF JOIN arrival AS here
             ON here.container = there.container AND here.node = there.origin AND {far_enough}
        WHERE {near_enough}
        """


def overdue_queries(canvas: Canvas) -> list[tuple[str, str]]:
    """The cells of containers that follow no arrow of a node, by the hour in which the last of these has closed."""
    queries = []
    for n, node in enumerate(canvas.nodes):
        longest = canvas.falls_out_after_ms(node.id)
        if longest is not None:
            queries.append(("x", _OVERDUE.format(node=n, longest=longest)))
    return queries


_OVERDUE = f"""
    WITH last AS (
        SELECT container, node, max(event_time) AS event_time FROM arrival WHERE node = {{node}} GROUP BY ALL)
    SELECT part, node, (last.event_time + {{longest}}) // {HOUR_MS} + 1 AS hour, day, count(*)
    FROM last JOIN born USING (container)
    WHERE container NOT IN (SELECT container FROM followed WHERE origin = {{node}}) GROUP BY ALL
    """
