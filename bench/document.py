"""A document in which a command keeps one part up to date, between two marks."""


def put_between(document: str, mark: str, text: str) -> str:
    """The document with `text` instead of what stands between the marks. Raises ValueError where they are not there
    once each, in their order."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    if document.count(begin) != 1 or document.count(end) != 1 or document.index(end) < document.index(begin):
        raise ValueError(f"the document has not one {begin} and behind it one {end}")
    before, _, rest = document.partition(begin)
    _, _, behind = rest.partition(end)
    return f"{before}{begin}\n\n{text}\n\n{end}{behind}"
