"""dtls://: keys, strangers, a hostile path, renewal, dead peers."""

import datetime
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from plugs.dtls import Params, open_dtls
from plugs.parts.dtls_link import DtlsLink
from plugs.registry import check
from tests.plugs.pairs.dtls import key_file
from tests.plugs.surroundings import TestSurroundings
from tests.plugs.test_contract import collect, frame, until_broken
from tests.plugs.udp_ports import free_udp_port
from tests.plugs.udp_proxy import UdpProxy, open_proxy
from vde.errors import ConfigError, LinkBroken, LinkClosed

QUICK = Params(keepalive=0.2, dead=1.0, patience=2.0)


@asynccontextmanager
async def listener(port: int, params: Params, surroundings: TestSurroundings | None = None) -> AsyncIterator[DtlsLink]:
    place = f"127.0.0.1:{port}"
    async with open_dtls(place, replace(params, listen=True), surroundings or TestSurroundings()) as link:
        assert isinstance(link, DtlsLink)
        yield link


@asynccontextmanager
async def connector(
    port: int, params: Params, surroundings: TestSurroundings | None = None, local: str = ""
) -> AsyncIterator[DtlsLink]:
    async with open_dtls(f"{local}127.0.0.1:{port}", params, surroundings or TestSurroundings()) as link:
        assert isinstance(link, DtlsLink)
        yield link


@asynccontextmanager
async def through_a_proxy(
    home: Path, params: Params = QUICK, local: str = ""
) -> AsyncIterator[tuple[DtlsLink, DtlsLink, UdpProxy]]:
    """(connector, listener, what is between them), connected."""
    port, params = free_udp_port(), replace(params, key=key_file(home))
    async with (
        listener(port, params) as server,
        open_proxy(port) as proxy,
        connector(proxy.port, params, local=local) as client,
    ):
        with trio.fail_after(10):
            await client.wait_connected()
            await server.wait_connected()
        yield client, server, proxy


async def until(condition: object, link: DtlsLink) -> None:
    assert callable(condition)
    with trio.fail_after(15):
        while not condition():
            await trio.lowlevel.checkpoint()


async def test_frames_longer_than_the_path_are_fragmented_and_no_datagram_is(short_path: Path) -> None:
    async with through_a_proxy(short_path, replace(QUICK, mtu=600)) as (client, server, proxy):
        sent = [frame(number, octets) for number, octets in enumerate((60, 500, 570, 1514, 9234))]
        for source, target in ((client, server), (server, client)):
            await source.send(sent)
            assert await collect(target, len(sent)) == sent
            assert source.state()["fragmented_frames"] == 3
        assert 400 < int(client.state()["room_octets"] or 0) < 572
        assert max(len(one) for _, one in proxy.to_server + proxy.to_client) <= 572


async def test_what_is_repeated_passes_once_and_what_is_played_back_never(short_path: Path) -> None:
    async with through_a_proxy(short_path) as (client, server, proxy):
        proxy.treatment = lambda _, datagram: [datagram] * 3
        sent = [frame(number) for number in range(50)]
        await client.send(sent)
        assert await collect(server, 50) == sent
        await server.send(sent)
        assert await collect(client, 50) == sent
        proxy.treatment = lambda _, datagram: [datagram]
        for client_address, datagram in list(proxy.to_server):
            await proxy.push_to_server(client_address, datagram)
        for client_address, datagram in list(proxy.to_client):
            await proxy.push_to_client(client_address, datagram)
        await client.send([frame(999)])
        assert await collect(server, 1) == [frame(999)]
        await server.send([frame(998)])
        assert await collect(client, 1) == [frame(998)]
        assert server.statistics().received_frames == 51
        assert client.statistics().received_frames == 51
        assert not server.statistics().dropped_in


async def test_what_is_changed_on_the_way_is_lost_and_harms_nothing(short_path: Path) -> None:
    async with through_a_proxy(short_path) as (client, server, proxy):

        def change(number: int, datagram: bytes) -> list[bytes]:
            if number % 2:
                return [datagram]
            at = number % len(datagram)
            return [datagram[:at] + bytes([datagram[at] ^ (1 << number % 8)]) + datagram[at + 1 :]]

        before = len(proxy.to_server)
        proxy.treatment = change
        sent = [frame(number) for number in range(200)]
        for one in sent:  # a record each
            await client.send([one])
        await until(lambda: len(proxy.to_server) >= before + 200, client)
        proxy.treatment = lambda _, datagram: [datagram]
        await client.send([frame(5000)])
        got: list[bytes] = []
        while not got or got[-1] != frame(5000):
            got += await collect(server, 1)
        assert set(got) <= {*sent, frame(5000)}
        assert 90 <= len(got) <= 111
        assert client.state()["connected"]


async def test_a_path_that_loses_and_reorders_still_lets_a_handshake_through(short_path: Path) -> None:
    port, params = free_udp_port(), replace(QUICK, key=key_file(short_path), patience=20.0)
    async with listener(port, params) as server, open_proxy(port) as proxy:
        held: list[bytes] = []

        def treat(number: int, datagram: bytes) -> list[bytes]:
            if number in (2, 6):
                return []
            if number in (4, 9):
                held.append(datagram)
                return []
            return [datagram, *held[-1:]]

        proxy.treatment = treat
        async with connector(proxy.port, params) as client:
            with trio.fail_after(60):
                await client.wait_connected()
            proxy.treatment = lambda _, datagram: [datagram]
            await client.send([frame(1)])
            with trio.fail_after(10):
                assert await collect(server, 1) == [frame(1)]


async def test_another_key_lets_nothing_pass_and_is_told_once(short_path: Path) -> None:
    port = free_udp_port()
    ours, theirs = TestSurroundings(), TestSurroundings()
    params = replace(QUICK, patience=0.3, keepalive=0.1, dead=0.5)
    async with (
        listener(port, replace(params, key=key_file(short_path, 1)), ours) as server,
        connector(port, replace(params, key=key_file(short_path, 2)), theirs) as client,
    ):
        await until(lambda: client.refused >= 2 and server.failed_handshakes >= 2, client)
        await client.send([frame(1)])
        assert client.statistics().dropped_out == {"no-peer": 1}
        assert not client.state()["connected"]
        assert not server.state()["connected"]
        assert server.statistics().received_frames == 0
    assert len(theirs.warnings) == len(ours.warnings) == 1
    assert "another key" in theirs.warnings[0]


async def test_nobody_there_is_told_once_and_tried_again(short_path: Path) -> None:
    port, surroundings = free_udp_port(), TestSurroundings()
    params = replace(QUICK, key=key_file(short_path), patience=0.2)
    async with connector(port, params, surroundings) as client:
        await until(lambda: client.failed_handshakes >= 2, client)
        async with listener(port, params) as server:
            with trio.fail_after(20):
                await client.wait_connected()
            await client.send([frame(1)])
            assert await collect(server, 1) == [frame(1)]
    assert len(surroundings.warnings) == 1
    assert "does not answer" in surroundings.warnings[0]


async def test_without_reconnect_nobody_there_breaks_the_link(short_path: Path) -> None:
    params = replace(QUICK, key=key_file(short_path), patience=0.2, reconnect=False)
    async with connector(free_udp_port(), params) as client:
        with pytest.raises(LinkBroken, match="does not answer"), trio.fail_after(10):
            await client.receive()


@pytest.mark.parametrize("fixed", [False, True])
async def test_keys_are_renewed_under_traffic(short_path: Path, fixed: bool) -> None:
    """From any port without a single loss; from a fixed port the link goes on."""
    local = f"127.0.0.1:{free_udp_port()}->" if fixed else ""
    async with through_a_proxy(short_path, replace(QUICK, rekey=0.3), local) as (client, server, proxy):
        got: list[bytes] = []
        sent: list[bytes] = []

        async def receive() -> None:
            while True:
                got.extend(await server.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            while client.associations < 4:
                sent.append(frame(len(sent)))
                await client.send(sent[-1:])
                await trio.sleep(0.001)
            sent.append(frame(len(sent)))
            await client.send(sent[-1:])
            with trio.fail_after(10):
                while sent[-1] not in got or (not fixed and len(got) < len(sent)):
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert len(set(got)) == len(got)
        assert set(got) <= set(sent)
        if not fixed:
            assert got == sorted(got)
        assert server.associations >= 4
        ports = {address for address, _ in proxy.to_server}
        assert len(ports) == 1 if fixed else len(ports) >= 4
        assert not client.statistics().dropped_out


async def test_keys_are_renewed_after_so_many_octets(short_path: Path) -> None:
    async with through_a_proxy(short_path, replace(QUICK, rekey_octets=20_000)) as (client, server, _):
        with trio.fail_after(20):
            while client.associations < 2:
                await client.send([frame(1, 1514)])
                await collect(server, 1)


async def test_a_dead_path_is_found_and_left_when_it_lives_again(short_path: Path) -> None:
    async with through_a_proxy(short_path) as (client, server, proxy):
        proxy.treatment = lambda *_: []
        await until(lambda: not client.state()["connected"] and not server.state()["connected"], client)
        assert "nothing came" in str(client.state()["last_end"])
        proxy.treatment = lambda _, datagram: [datagram]
        with trio.fail_after(20):
            await client.wait_connected()
            await server.wait_connected()
        await client.send([frame(1)])
        assert await collect(server, 1) == [frame(1)]


async def test_a_client_that_comes_from_another_port_is_found_again(short_path: Path) -> None:
    async with through_a_proxy(short_path) as (client, server, proxy):
        proxy.forget_clients()
        await until(lambda: server.associations >= 2, client)
        await client.send([frame(1)])
        with trio.fail_after(10):
            assert await collect(server, 1) == [frame(1)]


async def test_a_quiet_tunnel_stays_and_measures_the_round_trip(short_path: Path) -> None:
    async with through_a_proxy(short_path, replace(QUICK, dead=0.5)) as (client, server, _):
        with trio.move_on_after(1.5):
            await client.receive()
        assert client.associations == server.associations == 1
        assert 0 < int(client.state()["round_trip_ns"] or 0) < 5 * 10**8


async def test_a_goodbye_is_heard_at_once(short_path: Path) -> None:
    port, params = free_udp_port(), Params(key=key_file(short_path), reconnect=False)
    async with listener(port, params) as server:
        async with connector(port, params) as client:
            await client.wait_connected()
            await server.wait_connected()
        with pytest.raises(LinkBroken, match="the peer closed it"), trio.fail_after(5):
            await until_broken(server)


async def test_a_closed_link_says_so(short_path: Path) -> None:
    async with listener(free_udp_port(), Params(key=key_file(short_path))) as server:
        pass
    with pytest.raises(LinkClosed):
        await server.receive()
    with pytest.raises(LinkClosed):
        await server.send([frame(1)])


async def test_a_second_peer_with_the_key_takes_over(short_path: Path) -> None:
    port, params = free_udp_port(), replace(QUICK, key=key_file(short_path))
    async with listener(port, params) as server, connector(port, params) as first:
        await first.wait_connected()
        await server.wait_connected()
        async with connector(port, params) as second:
            await second.wait_connected()
            await until(lambda: server.associations == 2, server)
            await server.send([frame(1)])
            assert await collect(second, 1) == [frame(1)]


async def test_a_listener_for_one_address_refuses_others(short_path: Path) -> None:
    port, place = free_udp_port(), free_udp_port()
    params = replace(QUICK, key=key_file(short_path), patience=0.3)
    address = f"127.0.0.1:{port}->127.0.0.1:{place}"
    async with open_dtls(address, replace(params, listen=True), TestSurroundings()) as server:
        assert isinstance(server, DtlsLink)
        async with connector(port, params) as stranger:
            await until(lambda: server.refused > 0, server)
            assert not stranger.state()["connected"]
        async with connector(port, params, local=f"127.0.0.1:{place}->") as expected:
            with trio.fail_after(20):
                await expected.wait_connected()


@pytest.mark.fuzz
@given(
    st.lists(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b"\x16\xfe\xff\0\0" + tail), max_size=30)
)
@settings(max_examples=20)
def test_hostile_datagrams_of_strangers_harm_nothing(datagrams: list[bytes]) -> None:
    async def run() -> None:
        port = free_udp_port()
        home = Path(os.environ.get("TMPDIR", "/tmp"))
        key = key_file(home, 77)
        params = replace(QUICK, key=key)
        try:
            async with listener(port, params) as server, connector(port, params) as client:
                with trio.fail_after(20):
                    await client.wait_connected()
                    await server.wait_connected()
                    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
                        for datagram in datagrams:
                            stranger.sendto(datagram, ("127.0.0.1", port))
                    await client.send([frame(1)])
                    assert await collect(server, 1) == [frame(1)]
        finally:
            os.unlink(key)

    trio.run(run)


async def test_hostile_datagrams_within_an_association_harm_nothing(short_path: Path) -> None:
    """From the peer's own address: changed lengths, types and epochs of real records."""
    async with through_a_proxy(short_path) as (client, server, proxy):
        for number in range(20):  # a record each
            await client.send([frame(number)])
        await collect(server, 20)
        records = [one for one in proxy.to_server if one[1][:1] == b"\x17"]
        for address, record in records:
            for at, value in ((0, 0x15), (0, 0x14), (1, 3), (3, 9), (11, 0), (12, 0xFF), (20, 0)):
                await proxy.push_to_server(address, record[:at] + bytes([value]) + record[at + 1 :])
            await proxy.push_to_server(address, record[:20])
            await proxy.push_to_server(address, record + record)
            await proxy.push_to_server(address, b"\x15\xfe\xfd\0\0\0\0\0\0\0\x09\0\x02\x02\x28")  # a forged alert
        await client.send([frame(99)])
        assert await collect(server, 1) == [frame(99)]
        assert server.associations == 1
        assert server.statistics().received_frames == 21


def make_certificate(home: Path, name: str, issuer: str | None = None) -> tuple[str, str, str]:
    """Files of a certificate and its key, and its fingerprint; signed by `issuer` of the same directory."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signed_by = private, subject
    if issuer is not None:
        loaded = serialization.load_pem_private_key((home / f"{issuer}.key").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer, signed_by = loaded, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signed_by)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    cert, key = home / f"{name}.pem", home / f"{name}.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(cert), str(key), hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()


@pytest.mark.parametrize("how", ["ca", "peer", "ca-and-name"])
async def test_certificates(short_path: Path, how: str) -> None:
    ca, _, _ = make_certificate(short_path, "ca")
    make_certificate(short_path, "otherca")
    one, two, bad = (
        make_certificate(short_path, name, issuer)
        for name, issuer in (("one", "ca"), ("two", "ca"), ("bad", "otherca"))
    )
    port = free_udp_port()
    base = replace(QUICK, patience=0.5)

    def params(mine: tuple[str, str, str], peer: tuple[str, str, str], name: str) -> Params:
        made = replace(base, cert=mine[0], key=mine[1])
        if how == "peer":
            return replace(made, peer=peer[2])
        return replace(made, ca=ca, name=name if how == "ca-and-name" else None)

    async with listener(port, params(one, two, "two")) as server:
        async with connector(port, params(bad, one, "one")) as stranger:
            await until(lambda: server.refused > 0, server)
            assert not stranger.state()["connected"] or server.state()["connected"] is False
        if how == "ca-and-name":
            async with connector(port, params(two, one, "another")) as picky:
                await until(lambda: picky.refused > 0, server)
                assert not picky.state()["connected"]
        async with connector(port, params(two, one, "one")) as client:
            with trio.fail_after(20):
                await client.wait_connected()
                await server.wait_connected()
            await client.send([frame(1)])
            assert await collect(server, 1) == [frame(1)]


async def test_ipv6(short_path: Path) -> None:
    params = replace(QUICK, key=key_file(short_path))
    port = free_udp_port("::1")
    for listen_at, connect_to in ((f"[::1]:{port}", f"[::1]:{port}"), (f":{port}", f"127.0.0.1:{port}")):
        async with (
            open_dtls(listen_at, replace(params, listen=True), TestSurroundings()) as server,
            open_dtls(connect_to, params, TestSurroundings()) as client,
        ):
            assert isinstance(client, DtlsLink)
            with trio.fail_after(20):
                await client.wait_connected()
            await client.send([frame(1, 9234)])
            assert await collect(server, 1) == [frame(1, 9234)]


@pytest.mark.parametrize(
    ("address", "params", "words"),
    [
        ("", Params(key="k"), "HOST:PORT to connect"),
        (":5000", Params(key="k"), "option listen"),
        ("host:5000x", Params(key="k"), "HOST:PORT was"),
        ("", Params(listen=True, key="k"), "to listen at"),
        ("127.0.0.1:5000", Params(), "vde key new"),
        ("127.0.0.1:5000", Params(key="/nowhere"), "No such file"),
        ("127.0.0.1:5000", Params(key="k", ca="x"), "cert=FILE"),
        ("127.0.0.1:5000", Params(key="k", cert="c"), "whom to believe"),
        ("127.0.0.1:5000", Params(key="k", cert="c", peer="12"), "64 hexadecimal"),
        ("127.0.0.1:5000", Params(key="k", cert="c", ca="/nowhere"), "cannot be read"),
        ("127.0.0.1:5000", Params(key="k", keepalive=5, dead=4), "keepalive"),
        ("127.0.0.1:5000", Params(key="k", patience=0), "patience"),
        ("127.0.0.1:5000", Params(key="k", mtu=100), "576"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(address: str, params: Params, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        async with open_dtls(address, params, TestSurroundings()):
            pass


async def test_a_port_in_use_is_said(short_path: Path) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConfigError, match="in use"):
            async with listener(taken.getsockname()[1], Params(key=key_file(short_path))):
                pass


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("ab" * 32, 0o644, "chmod 600"),
        ("ab" * 31, 0o600, "64 hex"),
        ("", 0o600, "64 hex"),
        ("zz" * 32, 0o600, "64 hex"),
    ],
)
async def test_a_key_file_that_is_none(short_path: Path, text: str, mode: int, words: str) -> None:
    path = short_path / "key"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=words):
        async with connector(5000, Params(key=str(path))):
            pass


def test_the_vnl_reads_its_options() -> None:
    check("dtls://:5000/listen/key='/etc/x'/rekey=60/mtu=1400/reconnect=off")
