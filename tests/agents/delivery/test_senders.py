"""Each kind of destination against a real receiver: what arrives, and what its failures mean."""

import asyncio
import base64
import contextlib
import os
import re
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
import trustme
import uvloop
from aiosmtpd.controller import Controller

from agents.delivery import kafka as kafka_sender
from agents.delivery.email import EmailSender
from agents.delivery.folder import FolderSender
from agents.delivery.guard import ForbiddenAddressError, Guard, is_public
from agents.delivery.http import HttpSender, answer_of, signed
from agents.delivery.kafka import KafkaSender
from agents.delivery.secrets import MissingSecretError, Secrets
from agents.delivery.sender import Sender
from agents.delivery.senders import senders_of
from agents.reading import read_topic
from agents.settings import Settings
from state.delivery.configuration import Email, Folder, KafkaTopic, Slack, Webhook
from state.delivery.retries import Answer
from state.delivery.rows import Delivery
from streams.broker import EmbeddedBroker, free_ports
from tests.agents.delivery.mailbox import PASSWORD, Mailbox, mailing
from tests.agents.delivery.receiver import Receiver, Reply, receiving
from tests.agents.delivery.worlds import alert, change, make_topic, secrets_folder
from tests.state.delivery.worlds import ALL, HOOK, Partition


def here() -> Guard:
    """One that lets this machine be; of one sender, which closes it."""
    return Guard("127.0.0.1, localhost")


def made(*messages: Any) -> list[Delivery]:
    partition = Partition({"hook": HOOK}, [ALL])
    for message in messages:
        partition.take(message)
    return partition.waiting()


def send(sender: Sender, deliveries: list[Delivery]) -> Answer:
    async def steps() -> Answer:
        try:
            return await sender.send(deliveries)
        finally:
            await sender.close()

    return asyncio.run(steps())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(
        secrets_folder(
            tmp_path / "secrets", password=PASSWORD, wrong="other", beyond_ascii="pässword", two_lines="a\nb"
        )
    )


# --- HTTP


def test_a_connection_that_is_reset_as_it_is_made_is_tried_again(secrets: Secrets) -> None:
    """At whatever moment that is noticed, on the event loop that workers have."""

    def reset_all(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    async def often(url: str) -> set[str]:
        sender = HttpSender(Webhook(kind="webhook", url=url), secrets, here(), time.time)
        results = {(await sender.send(made(alert("A")))).result for _ in range(100)}
        await sender.close()
        return results

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=reset_all, args=(server,), daemon=True).start()
        assert uvloop.run(often(f"http://127.0.0.1:{server.getsockname()[1]}/")) == {"later"}
        server.shutdown(socket.SHUT_RDWR)


def test_a_certificate_is_held_against_the_name_and_not_the_address(
    secrets: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, receiver = trustme.CA(), Receiver()
    receiver.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(receiver.tls)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")

    def sent(host: str) -> Answer:
        hook = Webhook(kind="webhook", url=f"https://{host}:{receiver.port}/hook")
        return send(HttpSender(hook, secrets, here(), time.time), made(alert("A")))

    receiver.start()
    try:
        unknown = sent("localhost")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        known, other = sent("localhost"), sent("127.0.0.1")
    finally:
        receiver.close()
    assert known == Answer("done")
    assert [each.headers["host"] for each in receiver.received] == [f"localhost:{receiver.port}"]
    for answer in (unknown, other):
        assert answer.result == "later"
        assert "certificate" in answer.why.lower()


def test_an_address_is_sent_as_it_stands(receiver: Receiver, secrets: Secrets) -> None:
    """Its query may be signed."""
    for path in ("/a%7Eb/%2F?sig=a%2Bb+c%20d&x=~'", "/?", "/Zürich straße"):
        hook = Webhook(kind="webhook", url=f"http://127.0.0.1:{receiver.port}{path}")
        assert send(HttpSender(hook, secrets, here(), time.time), made(alert("A"))) == Answer("done")
    first, _, last = (each.path for each in receiver.received)
    assert first == "/a%7Eb/%2F?sig=a%2Bb+c%20d&x=~'"
    assert last == "/Z%C3%BCrich%20stra%C3%9Fe"


@pytest.mark.parametrize(
    ("status", "retry_after", "result", "wait_ms"),
    [
        (200, None, "done", 0),
        (204, None, "done", 0),
        (302, None, "refused", 0),
        (400, "7", "refused", 0),
        (408, None, "later", 0),
        (410, None, "gone", 0),
        (429, "7", "later", 7_000),
        (503, "Thu, 01 Jan 1970 00:01:40 GMT", "later", 90_000),
        (503, "Thu, 01 Jan 1970 00:00:00 GMT", "later", 0),
        (500, "soon", "later", 0),
        (503, "Thu, 01 Jan 1970 00:01:40", "later", 90_000),
        (503, "Thu, 01 Jan 1970 00:01:40 -0000", "later", 90_000),
        (503, "Thu, 01 Jan 1970 00:01:40 +0100", "later", 0),
        (500, "Thu, 01 Jan 1970 00:00:00 +" + "9" * 40, "later", 0),
        (500, f"Thu, 01 Jan {'9' * 40} 00:00:00 GMT", "later", 0),
    ],
)
def test_what_a_status_means(
    status: int, retry_after: str | None, result: str, wait_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retry-After in seconds or as a date, here ten seconds after the epoch, wherever the worker is."""
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        answer = answer_of(status, retry_after, 10.0)
        assert (answer.result, answer.retry_after_ms) == (result, wait_ms)
    monkeypatch.undo()
    time.tzset()


def test_a_write_back_is_what_its_template_says(receiver: Receiver, secrets: Secrets) -> None:
    """A task for the owner in a CRM: method, path, headers and body; what the template can not say is refused."""
    template = (
        '{"OwnerName": {{ data.who.owner | tojson }}, "Subject": {{ (data.title ~ ": " ~ data.who.account) | tojson }}}'
    )
    crm = {"kind": "webhook", "url": f"{receiver.url}/task", "method": "PATCH", "bearer": "password"}
    plain = Webhook.model_validate({**crm, "template": template, "headers": {"X-Api": "7"}})
    (delivery,) = made(alert('A "B" C'))
    assert send(HttpSender(plain, secrets, here(), time.time), [delivery]) == Answer("done")
    (got,) = receiver.received
    assert got.path == "/hook/task"
    assert got.message == {"OwnerName": "Sam Owner", "Subject": 'Opportunity created: A "B" C'}
    assert (got.headers["x-api"], got.headers["authorization"]) == ("7", "Bearer pass-word")
    assert (got.id, got.headers["host"]) == (delivery.id, f"127.0.0.1:{receiver.port}")
    for missing in ("two-lines", "beyond-ascii"):
        answer = send(HttpSender(plain.model_copy(update={"bearer": missing}), secrets, here(), time.time), [delivery])
        assert answer == Answer("later", f"the secret {missing!r} is not one line of ASCII, as a token is")
    bad = Webhook.model_validate({**crm, "template": "{{ data.nothing }}"})
    answer = send(HttpSender(bad, secrets, here(), time.time), [delivery])
    assert (answer.result, "nothing" in answer.why) == ("refused", True)


def test_slack_is_sent_to_its_secret_address(receiver: Receiver, tmp_path: Path) -> None:
    """Errors do not tell it."""
    folder = secrets_folder(
        tmp_path / "s", slack=receiver.url, nonsense="tcp://nowhere", no_port="https://h:99999/x",
        down="http://127.0.0.1:1/x",
    )  # fmt: skip
    deliveries = made(alert("Acme"))

    def sent(name: str, guard: Guard | None = None) -> Answer:
        slack = Slack(kind="slack", url_secret=name)
        return send(HttpSender(slack, Secrets(folder), guard or here(), time.time), deliveries)

    assert sent("slack") == Answer("done")
    assert receiver.received[0].message["text"] == "Opportunity created · Acme"
    assert sent("down") == Answer("later", "ClientConnectorError")
    assert sent("slack", Guard("")) == Answer("refused", "ForbiddenAddressError")
    for name in ("nonsense", "no-port"):
        assert sent(name) == Answer("later", f"the secret {name!r} is to be the address, and is no web address")


def test_a_redirect_is_not_followed(receiver: Receiver, secrets: Secrets) -> None:
    """It would lead past the guard."""
    receiver.answer = lambda *_: Reply(302, {"Location": "http://169.254.169.254/"})
    hook = Webhook.model_validate({"kind": "webhook", "url": receiver.url})
    assert send(HttpSender(hook, secrets, here(), time.time), made(alert("A"))).result == "refused"
    assert len(receiver.received) == 1


def test_an_answer_that_repeats_a_secret_is_not_told(secrets: Secrets) -> None:
    """It is none of HTTP, and its text says what stands in it."""

    def echo(server: socket.socket) -> None:
        with server.accept()[0] as connection:
            (line,) = re.findall(rb"authorization: .*\r\n", connection.recv(65_536), re.IGNORECASE)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + line.replace(b":", b" :") + b"\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        hook = Webhook(kind="webhook", url=url, bearer="password")
        answer = send(HttpSender(hook, secrets, here(), time.time), made(alert("A")))
    assert answer == Answer("later", "ClientResponseError")


def test_cookies_are_not_kept(receiver: Receiver, secrets: Secrets) -> None:
    """A receiver that sets a new one with each answer would fill memory and headers, and every try is the same."""
    receiver.answer = lambda received, _: Reply(200, {"Set-Cookie": f"session-{received.at}=1"})
    hook = Webhook(kind="webhook", url=receiver.url)

    async def twice() -> None:
        sender = HttpSender(hook, secrets, here(), time.time)
        for _ in range(2):
            assert await sender.send(made(alert("A"))) == Answer("done")
        await sender.close()

    asyncio.run(twice())
    assert ["cookie" in each.headers for each in receiver.received] == [False, False]


def test_a_key_that_is_none_tells_nothing_of_itself() -> None:
    """Standard Webhooks wants whsec_ and base64."""
    for key in ("whsec_", "no base64 at all!"):
        with pytest.raises(MissingSecretError) as caught:
            signed("msg_1", b"{}", [key], time.time())
        assert key not in str(caught.value).replace("whsec_BASE64", "")


# --- where it may lie


@pytest.mark.parametrize(
    ("address", "is_right"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_private_addresses_are_known(address: str, is_right: bool) -> None:
    """Also where an IPv6 address stands for one of IPv4."""
    assert is_public(address) is is_right


def test_a_host_is_looked_at_behind_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """However its address is written; one private address among several is enough."""

    def found(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("93.184.216.34", "10.0.0.1")]

    for host in ("localhost", "127.1", "2130706433", "0x7f.1"):
        with pytest.raises(ForbiddenAddressError, match="MILEPOST_DELIVERY_PRIVATE_HOSTS"):
            asyncio.run(Guard("example.com").address_of(host, 80))
    assert asyncio.run(Guard("example.com, LocalHost").address_of("localhost", 80)) in ("127.0.0.1", "::1")
    monkeypatch.setattr(socket, "getaddrinfo", found)
    with pytest.raises(ForbiddenAddressError, match=r"10\.0\.0\.1"):
        asyncio.run(Guard("").address_of("rebinding.example", 443))


def test_secrets_come_from_the_environment_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then from a file; one that is empty is none."""
    found = Secrets(secrets_folder(tmp_path / "s", crm_token=" of the file\n", empty="\n"))
    assert found.get("crm-token") == "of the file"
    monkeypatch.setenv("MILEPOST_SECRET_CRM_TOKEN", "of the environment")
    assert found.get("crm-token") == "of the environment"
    for name in ("empty", "missing"):
        with pytest.raises(MissingSecretError, match=f"MILEPOST_SECRET_{name.upper()}"):
            found.get(name)
    with pytest.raises(MissingSecretError):
        Secrets(None).get("missing")


# --- mail


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    with mailing() as found:
        yield found


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # there is no TLS here
def test_mail_arrives(mailbox: tuple[Mailbox, int], secrets: Secrets) -> None:
    """With the password of its secret; a correction is a reply."""
    box, port = mailbox
    destination = Email(
        kind="email", host="127.0.0.1", port=port, tls="none", sender="m@example.com", to=["sam@example.com"],
        user="milepost", password="password", timeout_s=1.0, sender_name="Acme, Inc.",
    )  # fmt: skip
    for delivery in made(alert("Zoë & Co"), alert("Zoë & Co", revision=2)):
        assert send(EmailSender(destination, secrets, here()), [delivery]) == Answer("done")
    first, second = box.mails
    assert first["Subject"] == "Opportunity created · Zoë & Co"
    assert first["From"] == '"Acme, Inc." <m@example.com>'
    assert second["In-Reply-To"] == first["Message-ID"]
    (delivery,) = made(alert("A"))

    def answer(guard: Guard | None = None, **changed: Any) -> Answer:
        return send(EmailSender(destination.model_copy(update=changed), secrets, guard or here()), [delivery])

    box.refusal = "550 nobody of that name"
    assert answer() == Answer("refused", "SMTPRecipientsRefused: 550")
    box.refusal = "450 later"
    assert answer() == Answer("later", "SMTPRecipientsRefused: 450")
    box.refused = "sam"
    assert answer(to=["alex@example.com", "sam@example.com"]) == Answer("refused", "SMTP 450 for 1 of those it is for")
    assert answer(password="wrong").result == "later"
    assert answer(password="missing").result == "later"
    for wrong in ({"password": "beyond-ascii"}, {"host": "smtp..example.com"}):
        assert answer(**wrong).why.startswith("the host is no name")
    assert answer(tls="starttls").result == "later"
    assert answer(tls="tls").result == "later"
    assert answer(port=1).result == "later"
    assert answer(Guard("")).result == "refused"


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_mail_goes_through_tls_for_the_name(
    tls: Any, secrets: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, box, (port,) = trustme.CA(), Mailbox(), free_ports(1)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    of_tls = {"ssl_context": context} if tls == "tls" else {"tls_context": context, "require_starttls": True}
    controller = Controller(box, hostname="localhost", port=port, **of_tls)  # type: ignore[arg-type]

    def look() -> None:
        with socket.create_connection(("localhost", port)) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost").recv(1024)

    if tls == "tls":  # it looks whether the server is there with the server's context, which is none for clients
        monkeypatch.setattr(controller, "_trigger_server", look)
    controller.start()
    try:
        for host, result in (("localhost", "done"), ("127.0.0.1", "later")):
            destination = Email(
                kind="email",
                host=host,
                port=port,
                tls=tls,
                sender="m@example.com",
                to=["sam@example.com"],
                timeout_s=5.0,
            )
            assert send(EmailSender(destination, secrets, here()), made(alert("A"))).result == result
    finally:
        controller.stop()
    assert len(box.mails) == 1


def _scripted(server: socket.socket, answer: Callable[[bytes], Iterator[bytes]]) -> None:
    """Answers each line of the one connection that it takes; a mail's text is a line."""
    with server.accept()[0] as connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
        for said in answer(b"CONNECTED"):
            connection.sendall(said)
        for line in lines:
            if line.startswith(b"."):
                line = b"TEXT"
            for said in answer(line.strip().upper()):
                connection.sendall(said)


def _mailed(answer: Callable[[bytes], Iterator[bytes]], secrets: Secrets) -> tuple[Answer, float]:
    """The answer of a server that says what it is told to, and after how long."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_scripted, args=(server, answer), daemon=True)
        thread.start()
        destination = Email(
            kind="email", host="127.0.0.1", port=server.getsockname()[1], tls="none", sender="m@example.com",
            to=["sam@example.com"], timeout_s=0.5,
        )  # fmt: skip
        begun = time.monotonic()
        found = send(EmailSender(destination, secrets, here()), made(alert("A")))
        took = time.monotonic() - begun
        thread.join(5)
        assert not thread.is_alive(), "the connection was ended"
    return found, took


def test_a_mail_server_has_a_time_for_all_that_it_says(secrets: Secrets) -> None:
    """One that says a little now and then would keep its thread, and with two of them the destination, for ever."""

    def drip(_: bytes) -> Iterator[bytes]:
        while True:
            time.sleep(0.1)
            yield b"220-wait\r\n"

    answer, took = _mailed(drip, secrets)
    assert answer == Answer("later", "TimeoutError: the mail was not taken within 0.5 s")
    assert took < 3
    deadline = time.monotonic() + 5
    while any(each.name.startswith("mail") for each in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_mail_server_that_says_too_much_is_left(secrets: Secrets) -> None:
    """What it says is kept until its answer ends."""

    def flood(_: bytes) -> Iterator[bytes]:
        while True:
            yield b"220-" + b"x" * 4_000 + b"\r\n"

    answer, _ = _mailed(flood, secrets)
    assert answer == Answer("later", "SMTPServerDisconnected")


@pytest.mark.parametrize("farewell", [b"421 too busy\r\n", b"500 what?\r\n", b""])
def test_a_mail_that_was_taken_is_delivered_whatever_the_farewell(farewell: bytes, secrets: Secrets) -> None:
    """Else it would be sent again for days, or be dead."""
    answers = {
        b"CONN": b"220 here\r\n", b"EHLO": b"250 here\r\n", b"MAIL": b"250 yes\r\n", b"RCPT": b"250 yes\r\n",
        b"DATA": b"354 go on\r\n", b"TEXT": b"250 queued\r\n", b"QUIT": farewell,
    }  # fmt: skip

    def answer(line: bytes) -> Iterator[bytes]:
        if line[:4] in answers:
            yield answers[line[:4]]

    found, _ = _mailed(answer, secrets)
    assert found == Answer("done")


# --- Kafka


@pytest.mark.broker
def test_a_try_at_a_topic_that_fails_leaves_nothing_behind(
    kafka: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that stands still before it is sent to, and goes on later: only what was on its way to it then may come
    again, in order, and before what is sent again. No producer goes on by itself."""
    bootstrap, topic = kafka.bootstrap_servers, f"still-{prefix}"
    deliveries = made(*(alert("A", number) for number in range(3)))
    make_topic(bootstrap, topic)

    def ids() -> list[str]:
        return [dict(each.headers)["ce_id"].decode() for each in read_topic(bootstrap, topic)]

    async def topics_and_stop(producer: Any) -> set[str]:
        found = await topics_of(producer)
        os.kill(kafka.pid, signal.SIGSTOP)
        while psutil.Process(kafka.pid).status() != psutil.STATUS_STOPPED:  # where others want the processor
            await asyncio.sleep(0.01)
        return found

    async def tries() -> None:
        sender = KafkaSender(KafkaTopic(kind="kafka", topic=topic, timeout_s=1.0), bootstrap, prefix)
        before = asyncio.all_tasks()
        assert await sender.send(deliveries[:1]) == Answer("done")
        monkeypatch.setattr(kafka_sender, "_topics", topics_and_stop)
        try:
            for _ in range(2):
                assert (await sender.send(deliveries[1:])).result == "later"
                await asyncio.sleep(0.1)  # they are being cancelled
                assert asyncio.all_tasks() == before
        finally:
            os.kill(kafka.pid, signal.SIGCONT)
            monkeypatch.undo()
        await asyncio.sleep(2)
        on_its_way = ids()
        assert on_its_way in ([first], [first, *others])
        assert await sender.send(deliveries[1:]) == Answer("done")
        await sender.close()
        assert ids() == [*on_its_way, *others]

    topics_of = kafka_sender._topics
    first, *others = (each.id for each in deliveries)
    asyncio.run(tries())


@pytest.mark.broker
def test_a_topic_gets_cloud_events_in_order(kafka: EmbeddedBroker, prefix: str) -> None:
    """Only one that is there, and none of milepost's own."""
    bootstrap, topic = kafka.bootstrap_servers, f"out-{prefix}"
    make_topic(bootstrap, topic)
    deliveries = made(*(alert("A", number) for number in range(50)))

    def answer(name: str) -> Answer:
        return send(KafkaSender(KafkaTopic(kind="kafka", topic=name), bootstrap, prefix), deliveries)

    assert answer(topic) == Answer("done")
    records = list(read_topic(bootstrap, topic))
    assert [dict(each.headers)["ce_id"] for each in records] == [each.id.encode() for each in deliveries]
    assert [each.value for each in records] == [each.content for each in deliveries]
    assert answer(f"missing-{prefix}") == Answer("later", f"there is no topic missing-{prefix}")
    assert answer(f"{prefix}.touchpoints").result == "refused"


# --- files


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    """Named by the first delivery, so that the same again takes the same place; nothing else is left in the folder."""
    deliveries = made(alert("A"), change("B"))
    for form in ("ndjson", "csv", "parquet", "reverse-etl", "google-customer-match"):
        folder = tmp_path / form
        destination = Folder(kind="folder", folder="out", format=form)  # type: ignore[arg-type]
        for _ in range(2):
            assert send(FolderSender(destination, folder, "out-3"), deliveries) == Answer("done")
        suffix = {"reverse-etl": "csv", "google-customer-match": "warm.add.csv"}.get(form, form)
        assert [each.name for each in folder.iterdir()] == [f"out-3-{0:012d}.{suffix}"]
    found = duckdb.sql(f"select account, type from '{tmp_path}/parquet/*.parquet' order by 1").fetchall()
    assert found == [("A", "milestone.asserted"), ("B", "audience.entered")]


def test_parquet_has_every_value_as_it_is(tmp_path: Path) -> None:
    """Whatever stands in it, and however large; what is missing is null."""
    texts = ['q"\n,r', "back\\slash", "two\r\nlines", " blanks ", "\u2028", "x" * 2_500_000, "'; --"]
    alerts = [alert(f"A{number}", title=text, tier=None) for number, text in enumerate(texts)]
    destination = Folder(kind="folder", folder="out", format="parquet")
    assert send(FolderSender(destination, tmp_path, "out-0"), made(*alerts)) == Answer("done")
    found = duckdb.sql(f"select reason, tier, revision from '{tmp_path}/*.parquet' order by account").fetchall()
    assert found == [(text, None, "1") for text in texts]


def test_what_was_killed_in_the_middle_of_a_file_leaves_nothing(tmp_path: Path) -> None:
    """Of its partition: another one's may be at work."""
    for name in (".out-0-3.abc", ".out-0-31.abc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.csv").write_text("jo@acme.example")
    destination = Folder(kind="folder", folder="out")
    assert send(FolderSender(destination, tmp_path, "out-0-3"), made(alert("A"))) == Answer("done")
    found = sorted(each.name for each in tmp_path.iterdir())
    assert found == [".out-0-31.abc", f"out-0-3-{0:012d}.ndjson"]


def test_a_folder_that_can_not_be_written_is_tried_again(tmp_path: Path) -> None:
    """Its name is taken by a file here."""
    (tmp_path / "out").write_text("")
    sender = FolderSender(Folder(kind="folder", folder="out"), tmp_path / "out", "out-0")
    assert send(sender, made(alert("A"))).result == "later"


def test_a_file_that_can_not_get_its_name_leaves_nothing_behind(tmp_path: Path) -> None:
    """It is tried again for days, and each try would leave one more."""
    for form in ("ndjson", "parquet"):
        (tmp_path / f"out-0-{0:012d}.{form}").mkdir()
        destination = Folder(kind="folder", folder="out", format=form)  # type: ignore[arg-type]
        assert send(FolderSender(destination, tmp_path, "out-0"), made(alert("A"))).result == "later"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_list_of_a_former_try_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Who was to be added, and left before the next try, is in one list only."""
    deliveries = made(change("A"), change("A", revision=2))
    (tmp_path / f"out-0-{1:012d}.csv").write_text("of another try")
    for some, left in ((deliveries[:1], "add"), (deliveries, "remove")):
        destination = Folder(kind="folder", folder="out", format="google-customer-match")
        assert send(FolderSender(destination, tmp_path, "out-0"), some) == Answer("done")
        assert sorted(each.name for each in tmp_path.iterdir()) == [
            f"out-0-{0:012d}.warm.{left}.csv", f"out-0-{1:012d}.csv",
        ]  # fmt: skip


def test_a_generation_has_files_of_its_own(tmp_path: Path) -> None:
    """Its numbers begin anew, and who has loaded a file of a name looks at it no more."""
    for generation in (0, 1):
        settings = Settings(folder=tmp_path, generation=generation)
        make = senders_of(settings, "nowhere:1", 3, time.time)
        sender = make("out", Folder(kind="folder", folder="files"))
        assert send(sender, made(alert("A"))) == Answer("done")
    found = [each.name for each in (tmp_path / "deliveries" / "files").iterdir()]
    assert sorted(found) == [f"out-{generation}-3-{0:012d}.ndjson" for generation in (0, 1)]


def test_a_signature_is_base64() -> None:
    """A key per signature, the newest first; none without keys."""
    keys = ["whsec_" + base64.b64encode(bytes([each]) * 24).decode() for each in (1, 2)]
    headers = signed("msg_1", b"{}", keys, 1_788_220_800.9)
    assert headers["webhook-timestamp"] == "1788220800"
    assert [each[:3] for each in headers["webhook-signature"].split(" ")] == ["v1,", "v1,"]
    assert "webhook-signature" not in signed("msg_1", b"{}", [], 0)
