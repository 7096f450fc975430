//! `libvdeplug_vdeshm.so`: what `vdeshm:///path` is to libvdeplug.
//!
//! Purpose: QEMU, vde_plug and every other program that opens VNLs with libvdeplug (vdeplug4) gets rings in shared memory
//! where it wrote `vdeshm:///path` instead of `vde:///path`, without a change. libvdeplug loads the module by its name,
//! from the directories of `VDEPLUGIN_PATH` or else its own ones, and finds the functions in `vdeplug_ops`
//! (libvdeplug_mod.h).
//!
//! Semantics, as those of `vde://`: one frame a `send` and a `recv`, whole or cut to the buffer; both wait unless told
//! not to, by MSG_DONTWAIT or by O_NONBLOCK on the data descriptor. The data descriptor is readable while frames are there. `send` waits
//! for room, so nothing is lost on the way to the switch. The control descriptor is silent, and readable (end of file)
//! when the switch has ended the connection; `send` and `recv` then fail with ECONNRESET. A `recv` on a descriptor that
//! was readable in vain fails with EINTR instead of waiting.
//!
//! One thread may send while another receives. A process that forks may go on in the parent or in the child, not in
//! both. Errors of opening are told on standard error, in a sentence, as libvdeplug has no words for them.

mod connection;
mod vnl;

use connection::Connection;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// `struct vde_open_args`.
#[repr(C)]
pub struct OpenArgs {
    port: c_int,
    group: *const c_char,
    mode: libc::mode_t,
}

/// `struct vdeconn`: libvdeplug fills in its two fields; the rest is ours.
#[repr(C)]
pub struct VdeConn {
    handle: *mut c_void,
    module: *mut c_void,
    connection: Connection,
}

/// `struct vdeplug_module`.
#[repr(C)]
pub struct VdeplugModule {
    flags: c_int,
    open: unsafe extern "C" fn(*const c_char, *const c_char, c_int, *const OpenArgs) -> *mut VdeConn,
    recv: unsafe extern "C" fn(*const VdeConn, *mut u8, usize, c_int) -> isize,
    send: unsafe extern "C" fn(*const VdeConn, *const u8, usize, c_int) -> isize,
    datafd: unsafe extern "C" fn(*const VdeConn) -> c_int,
    ctlfd: unsafe extern "C" fn(*const VdeConn) -> c_int,
    close: unsafe extern "C" fn(*mut VdeConn) -> c_int,
}

/// What libvdeplug looks for.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static mut vdeplug_ops: VdeplugModule = VdeplugModule { flags: 0, open, recv, send, datafd, ctlfd, close };

/// # Safety
/// `url` and `description` are NULL or C strings, `args` is NULL or valid.
unsafe extern "C" fn open(
    url: *const c_char,
    description: *const c_char,
    _interface_version: c_int,
    args: *const OpenArgs,
) -> *mut VdeConn {
    // SAFETY: as the caller says.
    let (url, description, args) = unsafe { (octets(url), octets(description), args.as_ref()) };
    let port = args.map_or(0, |args| args.port);
    let opened = catch_unwind(|| connection::open(url, description, port)).unwrap_or(Err(libc::EFAULT));
    match opened {
        Ok(connection) => {
            Box::into_raw(Box::new(VdeConn { handle: ptr::null_mut(), module: ptr::null_mut(), connection }))
        }
        Err(errno) => {
            set_errno(errno);
            ptr::null_mut()
        }
    }
}

/// # Safety
/// `conn` is one that `open` has made; `buffer` has room for `octets`.
unsafe extern "C" fn recv(conn: *const VdeConn, buffer: *mut u8, octets: usize, flags: c_int) -> isize {
    if octets == 0 {
        return answer(Err(libc::EINVAL)); // a frame would be lost
    }
    // SAFETY: as the caller says.
    let (connection, buffer) = unsafe { (&(*conn).connection, std::slice::from_raw_parts_mut(buffer, octets)) };
    answer(catch_unwind(AssertUnwindSafe(|| connection.receive(buffer, flags))).unwrap_or(Err(libc::EFAULT)))
}

/// # Safety
/// `conn` is one that `open` has made; `buffer` holds `octets`.
unsafe extern "C" fn send(conn: *const VdeConn, buffer: *const u8, octets: usize, flags: c_int) -> isize {
    if octets == 0 {
        return 0; // no frame
    }
    // SAFETY: as the caller says.
    let (connection, frame) = unsafe { (&(*conn).connection, std::slice::from_raw_parts(buffer, octets)) };
    answer(catch_unwind(AssertUnwindSafe(|| connection.send(frame, flags))).unwrap_or(Err(libc::EFAULT)))
}

/// # Safety
/// `conn` is one that `open` has made.
unsafe extern "C" fn datafd(conn: *const VdeConn) -> c_int {
    // SAFETY: as the caller says.
    unsafe { (*conn).connection.data_fd() }
}

/// # Safety
/// `conn` is one that `open` has made.
unsafe extern "C" fn ctlfd(conn: *const VdeConn) -> c_int {
    // SAFETY: as the caller says.
    unsafe { (*conn).connection.control_fd() }
}

/// # Safety
/// `conn` is one that `open` has made, and is not used again.
unsafe extern "C" fn close(conn: *mut VdeConn) -> c_int {
    // SAFETY: as the caller says; `open` has boxed it.
    drop(unsafe { Box::from_raw(conn) });
    0
}

/// # Safety
/// `text` is NULL or a C string, which outlives the result.
unsafe fn octets<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

fn answer(result: Result<usize, i32>) -> isize {
    result.map_or_else(
        |errno| {
            set_errno(errno);
            -1
        },
        |octets| octets as isize,
    )
}

fn set_errno(errno: i32) {
    // SAFETY: every thread has its own, always.
    unsafe { *libc::__errno_location() = errno };
}
