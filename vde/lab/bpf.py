"""Filters for frames in the language of pcap-filter(7), compiled and run by libpcap (Debian: libpcap0.8).

libpcap is loaded only when somebody wants a filter. It is called by ctypes: three functions, and scapy's way (through
`tcpdump -ddd` and the kernel) needs a program and a socket, where we have octets in memory.

    int pcap_compile(pcap_t *, struct bpf_program *, const char *, int optimize, bpf_u_int32 netmask)
    int pcap_offline_filter(const struct bpf_program *, const struct pcap_pkthdr *, const u_char *)
    struct bpf_program { u_int bf_len; struct bpf_insn *bf_insns; }
    struct pcap_pkthdr { struct timeval ts; bpf_u_int32 caplen; bpf_u_int32 len; }

Source: pcap_compile(3PCAP), pcap_offline_filter(3PCAP), pcap/pcap.h.
"""

import ctypes
from functools import cache

from vde.errors import ConfigError

LIBRARY = "libpcap.so.0.8"
DLT_EN10MB = 1  # pcap-linktype(7)
SNAP_OCTETS = 1 << 18  # MAXIMUM_SNAPLEN of tcpdump
NETMASK_UNKNOWN = 0xFFFFFFFF  # PCAP_NETMASK_UNKNOWN


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint), ("instructions", ctypes.c_void_p)]


class _Header(ctypes.Structure):
    _fields_ = [
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("captured", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    ]


class Filter:
    """A compiled filter; an empty one lets every frame pass, and needs no libpcap.

    Raises:
        ConfigError: the text is no filter, or there is no libpcap.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._program: _Program | None = None
        if not text.strip():
            return
        library = _library()
        handle = library.pcap_open_dead(DLT_EN10MB, SNAP_OCTETS)
        if not handle:
            raise ConfigError("libpcap has no memory")
        program = _Program()
        try:
            if (
                library.pcap_compile(
                    handle, ctypes.byref(program), text.encode(errors="surrogateescape"), 1, NETMASK_UNKNOWN
                )
                != 0
            ):
                reason = library.pcap_geterr(handle).decode(errors="replace")
                raise ConfigError(f"filter {text!r}: {reason} (pcap-filter(7) has the language)")
        finally:
            library.pcap_close(handle)
        self._program = program
        self._header = _Header()
        self._run = library.pcap_offline_filter

    def fits(self, frame: bytes) -> bool:
        """Does a frame pass?"""
        if self._program is None:
            return True
        self._header.captured = self._header.length = len(frame)
        return bool(self._run(ctypes.byref(self._program), ctypes.byref(self._header), frame))


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise ConfigError(f"filters need {LIBRARY}: install libpcap0.8 (apt-get install libpcap0.8)") from None
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_open_dead.argtypes = [ctypes.c_int, ctypes.c_int]
    library.pcap_close.restype = None
    library.pcap_close.argtypes = [ctypes.c_void_p]
    library.pcap_geterr.restype = ctypes.c_char_p
    library.pcap_geterr.argtypes = [ctypes.c_void_p]
    library.pcap_compile.restype = ctypes.c_int
    library.pcap_compile.argtypes = [
        ctypes.c_void_p,
        ctypes.POINTER(_Program),
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_uint32,
    ]
    library.pcap_offline_filter.restype = ctypes.c_int
    library.pcap_offline_filter.argtypes = [ctypes.POINTER(_Program), ctypes.POINTER(_Header), ctypes.c_char_p]
    return library
