"""Recipes: which packages of which architecture make a guest image.

A recipe is data. To add one, add an entry to `RECIPES`; docs/images.md shows how. What a recipe asks for comes from one
suite of Debian's archive and from nowhere else. For machines that is `SUITE`, because Debian 13 has no i386 and no
mipsel kernels any more; for User-Mode Linux it is sid, because what Debian 12 and 13 have of it dies on CPUs with a
large state (AMX); 32-bit PowerPC is in Debian ports only, which has no releases.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from vde.errors import ConfigError
from vde.image import compilation

SUITE = "bookworm"
UML_SUITE = "sid"
PORTS_SUITE = "sid"
SUITE_TITLES = {SUITE: "Debian 12 (bookworm)", UML_SUITE: "Debian unstable (sid)"}

Kind = Literal["machine", "uml"]
"""What runs the kernel: an emulated machine, or this one, as a program (User-Mode Linux)."""

# Raise it when what the program assembles out of the same recipe changes, so that `vde image pull` makes the image
# anew.
ASSEMBLY = 1

# Drivers of the network cards that emulators offer. 8139cp is there because QEMU's rtl8139 calls itself revision 0x20,
# an 8139C+, which 8139too refuses.
NIC_MODULES = ("pcnet32", "virtio_net", "virtio_pci", "e1000", "ne2k_pci", "8139too", "8139cp")

# Parts of the network that Debian builds as modules and that a guest may want to be: 802.1Q end point, bridge.
# af_packet and ipv6 are built in today; a kernel that has them as modules gets them in the image.
# Drivers of our boards' other virtio devices: disks, entropy, consoles; and of an NE2000 on an ISA bus.
OPTIONAL_MODULES = ("af_packet", "ipv6", "8021q", "bridge", "virtio_blk", "virtio_rng", "virtio_console", "ne")

# What a Power Macintosh has, as far as its kernel has it as modules.
MAC_MODULES = ("sungem", "bmac", "mace", "pata_macio", "evdev")

# loglevel=3: no messages about hardware that emulators do not have. Panics are shown.
# cryptomgr.notests: the kernel's self-tests of ciphers, which no guest uses, take as long as the rest of the boot.
# panic=-1: a kernel that cannot go on restarts, which QEMU's -no-reboot turns into an exit that the lab sees.
_CMDLINE = "console=ttyS0 loglevel=3 cryptomgr.notests panic=-1"


@dataclass(frozen=True)
class Recipe:
    """How to make one image.

    Attributes:
        name: what the user calls it.
        architecture: Debian's name of the guest's architecture.
        kernel_package: the metapackage whose first `linux-image-*` dependency is the newest kernel; for `uml` the
            package with the kernel itself.
        summary: one line for `vde image list`.
        busybox_package: a package with a statically linked `bin/busybox`.
        modules: drivers that must be in the kernel package, as modules or built in.
        optional_modules: modules that are taken if the kernel package has them.
        default_cmdline: kernel parameters that suit every board with one serial line.
        cmdline_octets_max: the longest command line that reaches the kernel whole.
        kind: what runs it.
        suite: Debian's name of the release.
        library_package: for `uml`, the package of the C library that its kernel is started with.
        ports: the packages are in the archive of Debian ports, which has a key of its own.
        built: kernel and busybox are compiled here (`vde.image.crossbuild`): `kernel_package` has the kernel's source,
            and `busybox_package` is a source package.
    """

    name: str
    architecture: str
    kernel_package: str
    summary: str
    busybox_package: str = "busybox-static"
    modules: tuple[str, ...] = NIC_MODULES
    optional_modules: tuple[str, ...] = OPTIONAL_MODULES
    default_cmdline: str = _CMDLINE
    cmdline_octets_max: int = 1023  # the least that Linux has on any architecture of Debian
    kind: Kind = "machine"
    suite: str = SUITE
    library_package: str | None = None
    ports: bool = False
    built: bool = False

    @property
    def suite_title(self) -> str:
        """The release, for people."""
        return f"Debian ports ({self.suite})" if self.ports else SUITE_TITLES[self.suite]

    def fingerprint(self, init: bytes) -> str:
        """Tell apart what different versions of this program would make out of the same packages.

        Args:
            init: the guest's /init script.
        """
        shape: tuple[object, ...] = (self.architecture, self.kernel_package, self.busybox_package, self.modules)
        shape += (self.optional_modules,)
        if self.kind != "machine":
            shape += (self.kind, self.suite, self.library_package)
        if self.ports:
            shape += ("ports", self.suite)
        if self.built:
            shape += (compilation.fingerprint(),)
        return hashlib.sha256(repr((ASSEMBLY, shape)).encode() + init).hexdigest()


def _by_name(*recipes: Recipe) -> Mapping[str, Recipe]:
    return MappingProxyType({recipe.name: recipe for recipe in recipes})


RECIPES = _by_name(
    Recipe(
        name="debian-i386",
        architecture="i386",
        kernel_package="linux-image-686",
        summary="Debian 12 kernel for i386 PCs with busybox",
        # Half a second of looking for ISA Plug and Play cards, a quarter for one more self-test.
        default_cmdline=f"{_CMDLINE} noisapnp initcall_blacklist=crypto_kdf108_init",
        cmdline_octets_max=2047,  # Linux Documentation/x86/boot.rst: cmdline_size
    ),
    Recipe(
        name="debian-malta",
        architecture="mipsel",
        kernel_package="linux-image-4kc-malta",
        summary="Debian 12 kernel for the MIPS Malta board (little endian) with busybox",
        # The firmware's table has 256 octets for an entry, and QEMU puts "rd_start=0xffffffff87e60000 rd_size=1610579 "
        # before the command line. What is longer is cut off without a word.
        cmdline_octets_max=200,
    ),
    Recipe(
        name="debian-powerpc",
        architecture="powerpc",
        kernel_package="linux-image-powerpc",
        summary="Debian ports' kernel for Power Macintoshes (G3) with busybox",
        modules=("pcnet32",),
        optional_modules=(*NIC_MODULES[1:], *OPTIONAL_MODULES, *MAC_MODULES),
        default_cmdline="console=ttyPZ0 loglevel=3 cryptomgr.notests panic=-1",
        cmdline_octets_max=2047,
        suite=PORTS_SUITE,
        ports=True,
    ),
    Recipe(
        name="linux-ppc",
        architecture="powerpc",
        kernel_package="linux-source-6.1",
        summary="Linux for Power Macintoshes (G3) with busybox, built here out of Debian 12's sources",
        busybox_package="busybox",
        modules=(),  # everything is built in
        optional_modules=(),
        default_cmdline="console=ttyPZ0 loglevel=3 panic=-1",
        cmdline_octets_max=2047,
        built=True,
    ),
    Recipe(
        name="uml",
        architecture="amd64",
        kernel_package="user-mode-linux",
        summary="User-Mode Linux of Debian sid with busybox, run as a program",
        modules=(),  # its network drivers are built in
        optional_modules=("8021q", "bridge", "sch_netem"),  # the last for `tests.bench.netem`
        default_cmdline="loglevel=3",
        cmdline_octets_max=4095,  # arch/um: COMMAND_LINE_SIZE
        kind="uml",
        suite=UML_SUITE,
        library_package="libc6",
    ),
)


def find_recipe(name: str) -> Recipe:
    """Look a recipe up.

    Raises:
        ConfigError: there is none of that name; the text lists those that there are.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise ConfigError(f"unknown image {name!r}; known images: {', '.join(sorted(RECIPES))}") from None
