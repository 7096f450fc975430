"""Debian packages, kernel modules and a busybox made up for tests, right in form and small."""

import io
import lzma
import struct
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

VERSION = "6.1.0-99-test"
_APPLET_LINES = """
busybox cat cttyhack dd dmesg echo hostname httpd init ip mkdir modprobe mount nc ping poweroff ps readlink reboot
sh sha256sum sleep sort usleep wget
"""
APPLETS = _APPLET_LINES.split()


@dataclass(frozen=True)
class TarMember:
    """A member of data.tar."""

    path: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""


def make_tar(members: Iterable[TarMember], tar_format: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar archive, as dpkg-deb writes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as tar:
        for member in members:
            info = tarfile.TarInfo(member.path)
            info.type, info.linkname, info.size = member.kind, member.link, len(member.content)
            tar.addfile(info, io.BytesIO(member.content))
    return out.getvalue()


def make_ar(members: Sequence[tuple[str, bytes]]) -> bytes:
    """An ar archive."""
    out = bytearray(b"!<arch>\n")
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}".encode() + b"`\n" + content
        out += b"\n" * (len(content) % 2)
    return bytes(out)


def compress(data: bytes, suffix: str) -> bytes:
    """Compressed as the suffix of the member's name says."""
    if suffix == ".xz":
        return lzma.compress(data)
    if suffix == ".gz":
        worker = zlib.compressobj(wbits=31)
        return worker.compress(data) + worker.flush()
    return data


def make_deb(members: Iterable[TarMember], suffix: str = ".xz", tar: bytes | None = None) -> bytes:
    """A package with these files."""
    data = make_tar(members) if tar is None else tar
    control = make_tar([TarMember("./control", b"Package: test\n")])
    return make_ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", lzma.compress(control)),
            (f"data.tar{suffix}", compress(data, suffix)),
        ]
    )


def make_module(modinfo: Sequence[str], wide: bool = False, order: str = "<", filler: int = 64) -> bytes:
    """An ELF file with a .modinfo section of these `key=value` words."""
    info = b"".join(word.encode() + b"\0" for word in modinfo)
    names = b"\0.shstrtab\0.text\0.modinfo\0"
    header_octets, entry_octets = (64, 64) if wide else (52, 40)
    offset_text = header_octets
    offset_info = offset_text + filler
    offset_names = offset_info + len(info)
    table = (offset_names + len(names) + 7) // 8 * 8
    word = "Q" if wide else "I"
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    header = ident + struct.pack(f"{order}HHI{word * 3}I", 1, 3, 1, 0, 0, table, 0)
    header += struct.pack(f"{order}HHHHHH", header_octets, 0, 0, entry_octets, 4, 1)
    layout = f"{order}IIQQQQIIQQ" if wide else f"{order}IIIIIIIIII"
    sections = [
        (0, 0, 0, 0, 0, 0),
        (names.index(b".shstrtab"), 3, 0, 0, offset_names, len(names)),
        (names.index(b".text"), 1, 0, 0, offset_text, filler),
        (names.index(b".modinfo"), 1, 0, 0, offset_info, len(info)),
    ]
    body = header + bytes(filler) + info + names
    body += bytes(table - len(body))
    return body + b"".join(struct.pack(layout, *section, 0, 0, 1, 0) for section in sections)


MODULES = {
    "drivers/net/ethernet/amd/pcnet32": ["depends=mii", "alias=pci:v00001022d00002000sv*sd*bc*sc*i*", "name=pcnet32"],
    "drivers/net/mii": ["depends=", "name=mii"],
    "drivers/net/virtio_net": ["alias=virtio:d00000001v*", "depends=virtio", "name=virtio_net"],
    "drivers/virtio/virtio": ["depends=", "name=virtio"],
    "drivers/virtio/virtio_pci": ["alias=pci:v00001AF4d*sv*sd*bc*sc*i*", "depends=virtio", "name=virtio_pci"],
    "drivers/net/ethernet/intel/e1000/e1000": ["depends=", "name=e1000"],
    "drivers/net/ethernet/8390/ne2k-pci": ["depends=8390", "name=ne2k_pci"],
    "drivers/net/ethernet/8390/8390": ["depends=", "name=8390"],
    "drivers/net/ethernet/realtek/8139too": ["depends=mii", "name=8139too"],
    "drivers/net/ethernet/realtek/8139cp": ["depends=mii", "name=8139cp"],
    "sound/unwanted": ["depends=", "name=unwanted"],
}


def make_kernel_deb(
    version: str = VERSION,
    kernel: bytes = b"a kernel",
    drop: str = "",
    filler: bytes = b"",
    top: str = "./lib/modules",
    packed: bool = False,
) -> bytes:
    """A kernel package with the drivers that recipes ask for, but for those whose path ends in `drop`.

    Args:
        version: as `uname -r` shows it.
        kernel: the kernel.
        drop: see above.
        filler: what makes the package larger.
        top: where modules are.
        packed: modules are compressed, one by one, as Debian does it since 6.12.
    """
    base = f"{top}/{version}"
    members = [
        TarMember("./", kind=tarfile.DIRTYPE),
        TarMember(f"./boot/vmlinuz-{version}", kernel),
        TarMember(f"{base}/modules.builtin", b"kernel/net/packet/af_packet.ko\n"),
        TarMember("./usr/share/doc/filler", filler),
    ]
    members += [
        TarMember(f"{base}/kernel/{path}.ko.xz", lzma.compress(make_module(info)))
        if packed
        else TarMember(f"{base}/kernel/{path}.ko", make_module(info))
        for path, info in MODULES.items()
        if not (drop and path.endswith(drop))
    ]
    return make_deb(members, ".gz" if filler else ".xz")


def make_busybox(applets: Sequence[str] = APPLETS) -> bytes:
    """Something with busybox's table of names in it."""
    table = b"".join(name.encode() + b"\0" for name in ["[", "[[", *applets])
    return b"\x7fELF and so on\0" + table + b"\0\x01rest"


def make_busybox_deb(applets: Sequence[str] = APPLETS) -> bytes:
    """A package with that busybox."""
    return make_deb([TarMember("./bin/busybox", make_busybox(applets))])
