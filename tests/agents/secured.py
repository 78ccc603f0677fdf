"""A real Kafka that lets nobody in without a certificate or a password, and nobody do what no rule allows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

import streams.broker
from streams.broker import HOST, PROPERTIES, EmbeddedBroker, free_ports

USER, PASSWORD, KEY_PASSWORD = "milepost", "s3cret=, %;", "of the key"
_MECHANISMS = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
# One for who sets it up, and three as users have them.
_ADDITIONS = """\
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port},{others}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SCRAM:SASL_SSL,PLAIN:SASL_PLAINTEXT,TLS:SSL
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
ssl.principal.mapping.rules=RULE:^.*CN=([^,]+).*$/$1/
listener.name.tls.ssl.client.auth=required
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
listener.name.scram.scram-sha-256.sasl.jaas.config={scram} required;
listener.name.scram.scram-sha-512.sasl.jaas.config={scram} required;
listener.name.plain.sasl.enabled.mechanisms=PLAIN
listener.name.plain.plain.sasl.jaas.config={plain} required user_{user}="{password}";
"""
_MODULE = "org.apache.kafka.common.security"


class Secured(NamedTuple):
    """folder: has ca.pem, and of the user client.pem (certificate) and client.key (its key, with a password). The other
    ones are addresses, by how one is let in there: with a password over TLS, with one in the clear, by a certificate.
    """

    folder: Path
    scram: str
    plain: str
    tls: str

    def environment(self, listener: str, **others: object) -> dict[str, str]:
        """What a user of one of the addresses sets, and others (None: not set)."""
        settings: dict[str, object] = {"bootstrap_servers": getattr(self, listener)}
        if listener == "tls":
            settings |= {
                "security_protocol": "SSL",
                "ssl_certfile": self.folder / "client.pem",
                "ssl_keyfile": self.folder / "client.key",
                "ssl_key_password": KEY_PASSWORD,
            }
        else:
            settings |= {"sasl_username": USER, "sasl_password": PASSWORD}
            settings |= {"security_protocol": "SASL_PLAINTEXT" if listener == "plain" else "SASL_SSL"}
        if listener == "scram":
            settings |= {"sasl_mechanism": "SCRAM-SHA-512"}
        if listener != "plain":
            settings |= {"ssl_cafile": self.folder / "ca.pem"}
        settings |= others
        return {f"MILEPOST_{name.upper()}": str(value) for name, value in settings.items() if value is not None}


@contextmanager
def secured_broker(folder: Path, jars: Path, prefix: str) -> Iterator[Secured]:
    """The broker, with the rules for the user that docs/security.md says milepost needs under a prefix."""
    _make_certificates(folder)
    ports = free_ports(3)
    found = Secured(folder, *(f"{HOST}:{port}" for port in ports))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams.broker, "PROPERTIES", _properties(found))
        broker = EmbeddedBroker.start(folder / "broker", jars)
    with broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        try:
            for each in _MECHANISMS:
                wanted = UserScramCredentialUpsertion(USER, each, PASSWORD, iterations=4096)
                assert admin.alter_user_scram_credentials([wanted]) == {USER: None}
            admin.create_acls(list(_rules(prefix)))
        finally:
            admin.close()
        yield found


def _rules(prefix: str) -> Iterator[ACL]:
    one, many = ACLResourcePatternType.LITERAL, ACLResourcePatternType.PREFIXED
    allowed: Mapping[ResourcePattern, tuple[ACLOperation, ...]] = {
        ResourcePattern(ResourceType.TOPIC, f"{prefix}.", many): (ACLOperation.ALL,),
        ResourcePattern(ResourceType.GROUP, f"{prefix}-", many): (ACLOperation.READ,),
        ResourcePattern(ResourceType.TRANSACTIONAL_ID, prefix, many): (ACLOperation.WRITE,),
        ResourcePattern(ResourceType.CLUSTER, "kafka-cluster", one): (ACLOperation.DESCRIBE_CONFIGS,),
    }
    for pattern, operations in allowed.items():
        for operation in operations:
            yield ACL(f"User:{USER}", "*", operation, ACLPermissionType.ALLOW, pattern)


def _properties(secured: Secured) -> str:
    """As the embedded broker's, with braces left for its ports."""
    kept = [line for line in PROPERTIES.splitlines(keepends=True) if not line.startswith("listener")]
    others = ",".join(f"{name.upper()}://{getattr(secured, name)}" for name in ("scram", "plain", "tls"))
    additions = _ADDITIONS.format(
        host="{host}", port="{port}", controller_port="{controller_port}", others=others, folder=secured.folder,
        scram=f"{_MODULE}.scram.ScramLoginModule", plain=f"{_MODULE}.plain.PlainLoginModule",
        user=USER, password=PASSWORD,
    )  # fmt: skip
    return "".join(kept) + additions


def _make_certificates(folder: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    broker, client = authority.issue_cert(HOST), authority.issue_cert(f"{USER}.example", common_name=USER)
    chain = b"".join(each.bytes() for each in broker.cert_chain_pems)
    (folder / "broker.pem").write_bytes(_pkcs8(broker, NoEncryption()) + chain)
    (folder / "client.pem").write_bytes(b"".join(each.bytes() for each in client.cert_chain_pems))
    (folder / "client.key").write_bytes(_pkcs8(client, BestAvailableEncryption(KEY_PASSWORD.encode())))


def _pkcs8(certificate: trustme.LeafCert, encryption: KeySerializationEncryption) -> bytes:
    """Its key, as Java reads it."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
