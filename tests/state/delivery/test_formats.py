"""What deliveries look like to who receives them."""

import csv
import io
from email import message_from_bytes
from email.policy import SMTP
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from state.delivery.formats.activation import e164, google_email, hashed
from state.delivery.formats.cloudevents import event_of
from state.delivery.formats.email import mail_of
from state.delivery.formats.files import files_of
from state.delivery.formats.message import webhook_body, webhook_value
from state.delivery.formats.slack import PARTS_SHOWN, slack_body
from state.delivery.rows import Delivery
from streams.alert import Alert, Involved
from streams.membership import MembershipChange
from tests.agents.delivery.worlds import AT_MS, alert, change
from tests.state.delivery.worlds import ALL, HOOK, Partition

HOUR_MS = 3_600_000
OF_GROUP = Involved("Acme", "buying_group", "g1", None, [])


def made(*messages: Alert | MembershipChange, route: dict[str, Any] = ALL) -> list[Delivery]:
    partition = Partition({"hook": HOOK, "boss": HOOK}, [route])
    for message in messages:
        partition.take(message)
    partition.pass_time(24 * HOUR_MS)
    return partition.waiting()


def digest(*messages: Alert | MembershipChange) -> Delivery:
    (delivery,) = made(*messages, route={**ALL, "digest": {"at": ["08:00"]}})
    return delivery


def escalation(*messages: Alert) -> list[Delivery]:
    deliveries = made(*messages, route={**ALL, "escalate": {"after_s": 60, "to": ["boss"]}})
    return [each for each in deliveries if each.destination == "boss"]


def test_the_message_has_the_alert_and_what_it_corrects() -> None:
    """Each kind has a type of its own."""
    changes = change("A"), change("A", revision=2, change="changed"), change("A", revision=3, change="exited")
    first, second, *others = made(alert("A"), alert("A", revision=2), *changes)
    assert webhook_value(first) == {
        "type": "milestone.asserted",
        "timestamp": "2026-09-01T00:00:00.000Z",
        "id": first.id,
        "corrects": None,
        "data": msgspec.to_builtins(alert("A")) | {"touchpoints": webhook_value(first)["data"]["touchpoints"]},
    }
    types = [webhook_value(each)["type"] for each in (second, *others)]
    assert types == ["milestone.revoked", "audience.entered", "audience.changed", "audience.exited"]
    assert webhook_value(second)["corrects"] == first.id
    assert webhook_value(digest(alert("A"), change("B")))["type"] == "digest"
    assert [webhook_value(each)["type"] for each in escalation(alert("A"))] == ["milestone.escalated"]


def test_a_revoked_escalation_is_a_revocation() -> None:
    """To who was told."""
    partition = Partition({"hook": HOOK, "boss": HOOK}, [{**ALL, "escalate": {"after_s": 60, "to": ["boss"]}}])
    partition.take(alert("A"))
    partition.pass_time(60_000)
    partition.take(alert("A", revision=2))
    told = [each for each in partition.waiting() if each.destination == "boss"]
    assert [webhook_value(each)["type"] for each in told] == ["milestone.escalated", "milestone.revoked"]
    assert msgspec.json.decode(slack_body(told[0]))["text"] == "Not acknowledged yet: Opportunity created · A"
    assert msgspec.json.decode(slack_body(told[1]))["text"] == "Taken back: Opportunity created · A"


def slack(delivery: Delivery) -> tuple[str, str]:
    """The text for notifications, and all that its blocks show."""
    body = msgspec.json.decode(slack_body(delivery))
    assert len(body["blocks"]) <= 50
    return body["text"], msgspec.json.encode(body["blocks"]).decode()


def test_slack_shows_what_who_when_why_and_where() -> None:
    """A customer's text can neither mention a channel nor make a link of its own."""
    (first, second) = made(
        alert("<!channel> & Co", who=Involved("<!channel> & Co", "opportunity", "o1", "Sam", [])),
        alert("B", links={"Story|x": "https://example.com/a|b>c"}, who=OF_GROUP, revision=1),
    )
    text, blocks = slack(first)
    assert text == "Opportunity created · &lt;!channel&gt; &amp; Co"
    for shown in ("Owner: Sam", "Page Viewed · jo@acme.example · /pricing", "o1", "2026-09-01T00:00:00.000Z", first.id):
        assert shown in blocks
    marked = [each["text"]["text"] for each in msgspec.json.decode(blocks) if each["type"] == "section"]
    assert "<!channel>" not in text + "".join(marked)
    assert "<https://example.com/a%7Cb&gt;c|Story|x>" in slack(second)[1]


def test_slack_shows_changes_corrections_and_digests() -> None:
    """The newest of a digest, and how many more there are."""
    _, second = made(alert("A"), alert("A", revision=2))
    assert "_taken back_" in slack(second)[1]
    assert "corrects msg_" in slack(second)[1]
    _, blocks = slack(made(change("A", container="p1", kind="person"))[0])
    assert "*A / p1* entered *warm*: score above 10" in blocks
    entered, changed = made(change("A"), change("A", revision=2, change="changed"))
    assert [slack(each)[0] for each in (entered, changed)] == ["A entered warm", "A changed in warm"]
    assert "Owner" not in slack(made(alert("A", who=OF_GROUP, links={}))[0])[1]
    text, blocks = slack(digest(*(alert(f"A{number}") for number in range(PARTS_SHOWN + 3))))
    assert text == f"{PARTS_SHOWN + 3} messages: all"
    assert "and 3 more" in blocks


def test_a_mail_can_be_read_and_threaded() -> None:
    """Headers are of one line whatever an account is called; a correction is a reply."""
    bcc = "A\r\nBcc: x@example.com"
    first, second = made(alert(bcc), alert(bcc, revision=2))
    mail, reply = (mail_of(each, "m@example.com", ["a@example.com", "b@example.com"]) for each in (first, second))
    assert mail["Subject"] == "Opportunity created · A Bcc: x@example.com"
    assert mail["Bcc"] is None
    assert (mail["To"], mail["Message-ID"]) == ("a@example.com, b@example.com", f"<{first.id}@milepost.invalid>")
    assert reply["In-Reply-To"] == mail["Message-ID"]
    body = mail.get_content()
    for line in ("Owner: Sam Owner", "People: jo@acme.example", "Before: lead-form", "Story: https://milepost.example"):
        assert line in body
    assert "(taken back)" in reply.get_content()
    bare = alert("B", who=OF_GROUP, path=[], touchpoints=[], links={})
    assert "Acme / g1" in mail_of(made(bare)[0], "m@example.com", ["a@example.com"]).get_content()
    changes = digest(change("A"), change("A", container="p1", kind="person"))
    assert "A / p1 entered warm" in mail_of(changes, "m@example.com", ["a@example.com"]).get_content()


@pytest.mark.parametrize(
    "account", ["=?utf-8?q?=0D=0ABcc:_x@example.com?=", "=?utf-8?b?DQpCY2M6IHg=?=", "=?utf-8?q?=C3?="]
)
def test_an_account_makes_no_header(account: str) -> None:
    """An encoded word in its name is text: decoded it were a header of its own, or nothing that can be sent."""
    mail = mail_of(made(alert(account))[0], "m@example.com", ["a@example.com"])
    found = message_from_bytes(mail.as_bytes(), policy=SMTP)
    assert found["Subject"] == f"Opportunity created · {account}".replace("=?", "= ?")
    assert found.keys() == mail.keys()


def test_a_cloud_event_has_its_attributes_in_headers() -> None:
    """As CloudEvents 1.0 and its Kafka binding ask for; the key keeps a container's events together."""
    first, second = made(alert("A"), alert("A", revision=2))
    one, two = event_of(first, "/milepost/x"), event_of(second, "/milepost/x")
    assert dict(one.headers) == {
        "ce_specversion": b"1.0", "ce_id": first.id.encode(), "ce_source": b"/milepost/x",
        "ce_type": b"milepost.milestone.asserted", "ce_time": b"2026-09-01T00:00:00.000Z",
        "content-type": b"application/json",
    }  # fmt: skip
    assert dict(two.headers)["ce_corrects"] == first.id.encode()
    assert one.key == two.key
    assert msgspec.json.decode(one.value) == webhook_value(first)["data"]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_files_have_a_line_per_message() -> None:
    """NDJSON as webhooks have it, CSV flat; of a digest each part."""
    deliveries = [*made(alert("A", who=OF_GROUP), change("A")), digest(alert("B"), change("C"))]
    (ndjson,) = files_of("ndjson", deliveries)
    assert ndjson.text.encode().splitlines() == [webhook_body(each) for each in deliveries]
    for form in ("csv", "parquet"):
        (file,) = files_of(form, deliveries)
        found = rows(file.text)
        assert [each["account"] for each in found] == ["Acme", "A", "B", "C"]
        assert (found[0]["container"], found[0]["tier"], found[1]["name"]) == ("g1", "a", "warm")
        assert msgspec.json.decode(found[1]["attributes"]) == change("A").attributes


def test_a_table_gets_what_was_added_changed_and_removed() -> None:
    """By its primary key, whose last row counts; attributes are columns."""
    changed = alert("A", revision=3)
    (file,) = files_of(
        "reverse-etl", made(alert("A"), changed, change("B"), change("B", revision=2, attributes={"tier": "1"}))
    )
    found = rows(file.text)
    assert [(each["operation"], each["account"], each["name"]) for each in found] == [
        ("added", "A", "opportunity-created"), ("changed", "A", "opportunity-created"),
        ("added", "B", "warm"), ("removed", "B", "warm"),
    ]  # fmt: skip
    assert [each["attribute_email"] for each in found] == ["", "", "Jo.Doe@Gmail.com", ""]
    assert found[3]["attribute_tier"] == "1"


def test_a_table_gets_a_member_with_other_attributes() -> None:
    """As changed; and in a digest each part says for itself what it does."""
    other = change("B", revision=2, change="changed", attributes={"tier": "2"}, former_attributes=[{"tier": "1"}])
    gone = change("C", revision=2)
    for deliveries in (
        made(change("B"), other, change("C"), gone),
        [digest(change("B"), msgspec.structs.replace(other, account="D"), change("C"))],
    ):
        (file,) = files_of("reverse-etl", deliveries)
        operations = [each["operation"] for each in rows(file.text)]
        assert operations == ["added", "changed", "added", "removed"][: len(operations)]
    (file,) = files_of("csv", [digest(alert("A", revision=3), change("B"))])
    assert [each["operation"] for each in rows(file.text)] == ["changed", "added"]


PERSON = {
    "email": " Jo.Doe@GMail.com ", "phone": "+49 (30) 123-4567", "first_name": " Zoë ", "last_name": "O'Neil",
    "country": "de", "zip": " 10115 ",
}  # fmt: skip


def sha(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_google_customer_match_is_normalised_and_hashed() -> None:
    """As the help page on hashed data says: lower case, no blanks, E.164; country and zip in the clear."""
    (file,) = files_of("google-customer-match", made(change("A", kind="person", container="p", attributes=PERSON)))
    assert file.suffix == ".warm.add.csv"
    assert rows(file.text) == [
        {
            "Email": sha("jodoe@gmail.com"), "Phone": sha("+49301234567"), "First Name": sha("zoë"),
            "Last Name": sha("o'neil"), "Country": "DE", "Zip": "10115",
        }
    ]  # fmt: skip


def test_meta_custom_audience_is_normalised_and_hashed() -> None:
    """Dots of an address stay, phone numbers are digits, names letters."""
    (file,) = files_of("meta-custom-audience", made(change("A", kind="person", container="p", attributes=PERSON)))
    assert rows(file.text) == [
        {
            "email": sha("jo.doe@gmail.com"), "phone": sha("49301234567"), "fn": sha("zoë"), "ln": sha("oneil"),
            "country": sha("de"), "zip": sha("10115"),
        }
    ]  # fmt: skip


def test_meta_takes_five_digits_of_a_zip_of_the_us() -> None:
    """ZIP+4 matches nobody; other countries' are whole."""
    cases = ("US", "94303-5300", "94303"), ("GB", "M1 1AE", "m11ae"), ("PL", "00-950", "00950")
    for country, given, right in cases:
        attributes = {**PERSON, "country": country, "zip": given}
        (file,) = files_of("meta-custom-audience", made(change("A", attributes=attributes)))
        assert rows(file.text)[0]["zip"] == sha(right)


def test_linkedin_gets_companies() -> None:
    """By name and domain, unhashed; the account's name stands in for one that is missing."""
    attributes = {"domain": "https://WWW.Acme.example/about", "country": "DE"}
    (file,) = files_of("linkedin-companies", made(change("Acme Corp", attributes=attributes)))
    assert rows(file.text) == [
        {
            "companyname": "Acme Corp", "companywebsite": "acme.example", "companyemaildomain": "acme.example",
            "linkedincompanypageurl": "", "companycountry": "DE",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["google-customer-match", "meta-custom-audience"])
def test_lists_are_differences(form: str) -> None:
    """Whom to add, whom to remove; who did both is where it came last, who can not be matched is left out."""
    deliveries = made(
        change("A"), change("A", revision=2), change("B"), change("C", attributes={"phone": "030 1234567"}), alert("D"),
        change("E", revision=1), change("E", revision=2), change("E", revision=3, audience="warm"),
    )  # fmt: skip
    by_suffix = {file.suffix: rows(file.text) for file in files_of(form, deliveries)}
    assert {suffix: len(found) for suffix, found in by_suffix.items()} == {".warm.add.csv": 2, ".warm.remove.csv": 1}


def test_lists_have_who_is_in_by_another_address_in_both() -> None:
    """Removed by each address that was told, added by the newest; one that is the same when normalised only added."""
    jo, joe, same = ({"email": each} for each in ("jo@a.example", "joe@a.example", "JO@a.example"))

    def lists(*changes: MembershipChange) -> dict[str, list[str]]:
        files = files_of("meta-custom-audience", made(*changes))
        return {file.suffix.split(".")[2]: [row["email"] for row in rows(file.text)] for file in files}

    entered = change("A", attributes=jo)
    other = change("A", revision=2, change="changed", attributes=joe, former_attributes=[jo])
    back = change("A", revision=3, change="changed", attributes=same, former_attributes=[joe])
    gone = change("A", revision=4, attributes=joe, former_attributes=[jo])
    jo_hashed, joe_hashed = sha("jo@a.example"), sha("joe@a.example")
    assert lists(entered, other) == {"add": [joe_hashed], "remove": [jo_hashed]}
    assert lists(entered, other, back) == {"add": [jo_hashed], "remove": [joe_hashed]}
    assert lists(entered, other, gone) == {"remove": [jo_hashed, joe_hashed]}


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("+49 30 1234567", "+49301234567"),
        ("0049 30 1234567", "+49301234567"),
        ("030 1234567", ""),
        ("1+234567890", ""),
        ("+12", ""),
        ("", ""),
    ],
)
def test_a_phone_number_needs_its_country(given: str, right: str) -> None:
    """Guessing it would match somebody else."""
    assert e164(given) == right


def test_only_gmail_ignores_dots() -> None:
    """And nothing is the hash of nothing."""
    assert google_email("J.D@Example.com ") == "j.d@example.com"
    assert google_email("j.d@googlemail.com") == "jd@googlemail.com"
    assert google_email("nobody") == "nobody"
    assert hashed("") == ""


def test_the_time_is_when_it_was_said() -> None:
    """Not when it is sent, so that a body is the same on every try."""
    (delivery,) = made(alert("A"))
    assert webhook_value(delivery)["timestamp"] == "2026-09-01T00:00:00.000Z"
    assert delivery.created_ms == AT_MS
