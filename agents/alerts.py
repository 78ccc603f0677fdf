"""What stands on the topic `milestones`."""

from agents.reading import read_topic
from agents.settings import Settings
from check.milestones import Key
from streams.alert import Alert, decode_alert
from streams.protocol_rows import PROTOCOL_PREFIX
from streams.topics import topic_name

Standing = dict[tuple[str, str, Key], Alert]
"""By the milestone's name, the kind of container and whose it is the newest revision, asserted or revoked."""


def read_standing(bootstrap: str, settings: Settings) -> Standing:
    """The newest revision of each alert up to now."""
    found: Standing = {}
    for record in read_topic(bootstrap, topic_name("milestones", settings.prefix, settings.generation)):
        if record.value is None or record.key.startswith(PROTOCOL_PREFIX):
            continue
        alert = decode_alert(record.value)
        whose = Key(record.partition, alert.who.account, alert.who.id, alert.episode)
        key = alert.milestone, alert.who.kind, whose
        if key not in found or alert.revision > found[key].revision:
            found[key] = alert
    return found
