"""libvdeplug itself, by ctypes: what an unmodified client calls."""

import ctypes
import os
from pathlib import Path

_MTU = 9234


class _Arguments(ctypes.Structure):
    _fields_ = (("port", ctypes.c_int), ("group", ctypes.c_char_p), ("mode", ctypes.c_uint))


class Client:
    """An open VNL. Errors are OSError, as the library's errno."""

    def __init__(self, vnl: str, description: str = "test", port: int = 0) -> None:
        self.library = ctypes.CDLL("libvdeplug.so.2", use_errno=True)
        self.library.vde_open_real.restype = ctypes.c_void_p
        self.library.vde_send.restype = self.library.vde_recv.restype = ctypes.c_ssize_t
        arguments = _Arguments(port, None, 0)
        opened = self.library.vde_open_real(vnl.encode(), description.encode(), 1, ctypes.byref(arguments))
        if not opened:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._conn = ctypes.c_void_p(opened)

    @property
    def data_fd(self) -> int:
        return int(self.library.vde_datafd(self._conn))

    @property
    def control_fd(self) -> int:
        return int(self.library.vde_ctlfd(self._conn))

    def send(self, frame: bytes, flags: int = 0) -> int:
        return self._checked(self.library.vde_send(self._conn, frame, len(frame), flags))

    def receive(self, flags: int = 0, octets: int = _MTU) -> bytes:
        buffer = ctypes.create_string_buffer(octets)
        received = self._checked(self.library.vde_recv(self._conn, buffer, octets, flags))
        return buffer.raw[:received]

    def close(self) -> None:
        self.library.vde_close(self._conn)

    def _checked(self, result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result


def module_path(directory: Path) -> str:
    """VDEPLUGIN_PATH with our module in `directory`, where it is put, and the library's own."""
    from plugs.module import install

    variable = install(directory).variable
    return variable.partition("=")[2]
