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
from state.delivery.formats.table import KEY_COLUMNS, flat_rows
from state.delivery.rows import Delivery
from streams.alert import Alert, Involved, LedBy
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


def test_slack_and_mails_say_how_much_it_was_and_slack_when_for_its_reader() -> None:
    """By Slack's date format: seconds, what to show, and what a client shows that does not know it."""
    won = LedBy(AT_MS, "Closed-Won", "crm", "w1", person="jo@acme.example", value=1_250_000_500_000)
    (first,) = made(alert("A", touchpoints=[won]))
    line = "2026-09-01 · Closed-Won · 1,250,000.5 · jo@acme.example"
    assert line in slack(first)[1]
    when = f"<!date^{AT_MS // 1000}^{{date_short_pretty}}, {{time_secs}}|2026-09-01T00:00:00.000Z>"
    assert when in slack(first)[1]
    assert f"- {line}" in mail_of(first, "m@example.com", ["a@example.com"]).get_content()


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
    assert slack(digest(alert("A")))[0] == "1 message: all"


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


@pytest.mark.parametrize("name", ["", "Acme, Inc.", 'Müller "Sales" <x@example.com>'])
def test_a_mail_is_from_one_sender_whatever_its_name_holds(name: str) -> None:
    """Quoted or encoded, as it needs to be."""
    mail = mail_of(made(alert("A"))[0], "m@example.com", ["a@example.com"], name)
    (sender,) = message_from_bytes(mail.as_bytes(), policy=SMTP)["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, "m@example.com")


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
    (file,) = files_of("csv", deliveries)
    found = rows(file.text)
    assert [each["account"] for each in found] == ["Acme", "A", "B", "C"]
    assert (found[0]["container"], found[0]["tier"], found[1]["name"]) == ("g1", "a", "warm")
    assert msgspec.json.decode(found[1]["attributes"]) == change("A").attributes
    assert flat_rows(deliveries) == found


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


def test_a_table_tells_episodes_and_audiences_apart() -> None:
    """One that is taken back, or left, takes no other row of the same name with it."""
    told = [
        alert("A", 1), alert("A", 2), alert("A", 1, revision=2),
        change("A", audience="opportunity-created"), change("A", 2, audience="opportunity-created"),
    ]  # fmt: skip
    (file,) = files_of("reverse-etl", made(*told))
    table: dict[tuple[str, ...], str] = {}
    for row in rows(file.text):
        table[tuple(row[name] for name in KEY_COLUMNS)] = row["operation"]
    assert table == {
        ("A", "account", "", "milestone", "opportunity-created", "A-1"): "removed",
        ("A", "account", "", "milestone", "opportunity-created", "A-2"): "added",
        ("A", "account", "", "audience", "opportunity-created", ""): "removed",
    }


def test_a_table_gets_a_member_with_other_attributes() -> None:
    """As changed; and in a digest each part says for itself what it does, also where it was told otherwise before."""
    told = [
        change("B"), change("B", 2, change="changed", attributes={"tier": "2"}, former_attributes=[{"tier": "1"}]),
        change("C"), change("C", 2),
    ]  # fmt: skip
    (file,) = files_of("reverse-etl", made(*told))
    assert [each["operation"] for each in rows(file.text)] == ["added", "changed", "added", "removed"]
    partition = Partition({"hook": HOOK}, [{**ALL, "digest": {"at": ["08:00"]}}])
    operations = []
    for messages in (
        [change("B"), alert("A")],
        [change("B", 2, change="changed"), alert("A", revision=2)],
        [alert("A", revision=3)],
    ):
        for message in messages:
            partition.take(message)
        partition.pass_time(24 * HOUR_MS)
        (file,) = files_of("csv", partition.waiting()[-1:])
        operations.append([each["operation"] for each in rows(file.text)])
    assert operations == [["added", "added"], ["changed", "removed"], ["added"]]


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


def mailed(account: str, revision: int = 1, address: str = "", *former: str, **options: Any) -> MembershipChange:
    """A change of a member with an address, its account's without one."""
    attributes = {"email": f"{address or account}@a.example", **options.pop("more", {})}
    before = [{**attributes, "email": f"{each}@a.example"} for each in former]
    return change(account, revision, attributes=attributes, former_attributes=before, **options)


def lists(form: str, *changes: Alert | MembershipChange) -> dict[str, list[dict[str, str]]]:
    """The rows to add and to remove."""
    return {file.suffix.split(".")[2]: rows(file.text) for file in files_of(form, made(*changes))}


@pytest.mark.parametrize("form", ["google-customer-match", "meta-custom-audience"])
def test_lists_are_differences(form: str) -> None:
    """Whom to add, whom to remove; who did both is where it came last, who can not be matched is left out."""
    found = lists(
        form,
        mailed("A"), mailed("A", 2), mailed("B"), change("C", attributes={"phone": "030 1234567"}), alert("D"),
        mailed("E"), mailed("E", 2), mailed("E", 3),
    )  # fmt: skip
    assert {word: len(found) for word, found in found.items()} == {"add": 2, "remove": 1}


def test_lists_have_who_is_in_by_another_address_in_both() -> None:
    """Removed by each address that was told, added by the newest; one that is the same when normalised only added."""
    entered, other = mailed("A", 1, "jo"), mailed("A", 2, "joe", "jo", change="changed")
    back, gone = mailed("A", 3, "JO", "joe", change="changed"), mailed("A", 4, "joe", "jo")

    def addresses(*changes: MembershipChange) -> dict[str, list[str]]:
        found = lists("meta-custom-audience", *changes)
        return {word: [row["email"] for row in found[word]] for word in found}

    jo, joe = sha("jo@a.example"), sha("joe@a.example")
    assert addresses(entered, other) == {"add": [joe], "remove": [jo]}
    assert addresses(entered, other, back) == {"add": [jo], "remove": [joe]}
    assert addresses(entered, other, gone) == {"remove": [joe, jo]}


def test_nobody_is_removed_by_what_somebody_is_added_by() -> None:
    """A platform that removes last would lose who is in: by the part that stays of who changed, by the address that one
    member gives and another takes, and not at all where nothing else is left."""
    phone, other_phone = ({"phone": f"+49 30 123456{digit}"} for digit in (1, 2))
    entered = mailed("A", more=phone)
    changed = mailed("A", 2, change="changed", more=other_phone)
    changed = msgspec.structs.replace(changed, former_attributes=[entered.attributes])
    found = lists("meta-custom-audience", entered, changed)
    assert [(row["email"], row["phone"]) for row in found["add"]] == [(sha("a@a.example"), sha("49301234562"))]
    assert [(row["email"], row["phone"]) for row in found["remove"]] == [("", sha("49301234561"))]
    found = lists(
        "google-customer-match",
        mailed("A", 1, "jo"),
        mailed("A", 2, "joe", "jo", change="changed"),
        mailed("B", 1, "jo"),
    )
    assert sorted(row["Email"] for row in found["add"]) == sorted([sha("jo@a.example"), sha("joe@a.example")])
    assert "remove" not in found
    names = {"first_name": "Jo", "last_name": "Doe", "country": "de", "zip": "1"}
    married = change("A", 2, change="changed", attributes={**names, "last_name": "Roe"}, former_attributes=[names])
    found = lists("google-customer-match", change("A", attributes=names), married)
    assert [row["Last Name"] for row in (*found["add"], *found["remove"])] == [sha("roe"), sha("doe")]
    site = {"company": "Acme", "domain": "acme.example"}
    moved = change("A", 2, change="changed", attributes={**site, "domain": "acme.de"}, former_attributes=[site])
    found = lists("linkedin-companies", change("A", attributes=site), moved)
    assert [(row["companyname"], row["companywebsite"]) for row in found["remove"]] == [("", "acme.example")]


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("+49 30 1234567", "+49301234567"),
        ("0049 30 1234567", "+49301234567"),
        ("030 1234567", ""),
        ("1+234567890", ""),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+1 415 555 0100 ext. 12", ""),
        ("+٤٤ ٢٠ ٧٩٤٦ ٠٩٥٨", "+442079460958"),
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
    assert google_email("Cloudy.SanFrancisco+Shopping@gmail.com") == "cloudysanfrancisco@gmail.com"
    assert google_email("user.name+NYC@Example.com") == "user.name+nyc@example.com"
    assert google_email("nobody") == "nobody"
    assert hashed("") == ""


def test_the_time_is_when_it_was_said() -> None:
    """Not when it is sent, so that a body is the same on every try."""
    (delivery,) = made(alert("A"))
    assert webhook_value(delivery)["timestamp"] == "2026-09-01T00:00:00.000Z"
    assert delivery.created_ms == AT_MS
