//! One open `vdeshm://`: both halves of the rings, and the connection whose end is theirs.

use crate::vnl;
use frame_ring::handshake::{self, Failure, Request};
use frame_ring::{Pushed, Received, Receiver, Sender};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where `vde://` without a path looks for a switch: root's, then users'.
const DEFAULT_DIRECTORIES: [&str; 3] = ["/var/run/vde.ctl", "/run/vde.ctl", "/tmp/vde.ctl"];
const SOCKET_NAME: &str = "ring";

pub struct Connection {
    receiver: Mutex<Receiver>,
    sender: Mutex<Sender>,
    control: UnixStream,
    data_fd: RawFd,
    room_fd: RawFd,
}

/// Or an errno, after a sentence on standard error.
pub fn open(url: &[u8], description: &[u8], port: i32) -> Result<Connection, i32> {
    let shown = String::from_utf8_lossy(url).into_owned();
    let tell = |text: &str| eprintln!("vdeshm://{shown}: {text}");
    let address = vnl::parse(url).map_err(|text| {
        tell(&text);
        libc::EINVAL
    })?;
    let port = match (address.port, u32::try_from(port)) {
        (Some(port), _) => port,
        (None, Ok(port)) if port <= vnl::PORT_MAX => port,
        _ => {
            tell(&format!("port {port}: a number of 0 to {} was expected", vnl::PORT_MAX));
            return Err(libc::EINVAL);
        }
    };
    let request =
        Request { port, ring_octets: address.ring_octets, description: description.to_vec(), ..Request::default() };
    let candidates = match address.path {
        Some(path) => vec![path],
        None => DEFAULT_DIRECTORIES.iter().map(PathBuf::from).collect(),
    };
    let mut failure = None;
    for path in &candidates {
        match connect(path, &request) {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = Some((path, error)),
        }
    }
    let Some((path, failure)) = failure else {
        return Err(libc::ENOENT);
    };
    tell(&explain(path, &failure));
    Err(failure.errno())
}

fn connect(path: &Path, request: &Request) -> Result<Connection, Failure> {
    let socket = if path.is_dir() { path.join(SOCKET_NAME) } else { path.to_owned() };
    let (ring, control) = handshake::connect(&socket, request)?;
    let (sender, receiver) = ring.split();
    let (data_fd, room_fd) = (receiver.frames_fd(), sender.room_fd());
    let connection =
        Connection { receiver: Mutex::new(receiver), sender: Mutex::new(sender), control, data_fd, room_fd };
    let _ = lock(&connection.receiver).settle(); // what is broken already, the first recv tells
    Ok(connection)
}

fn explain(path: &Path, failure: &Failure) -> String {
    let where_ = path.display();
    match failure.errno() {
        libc::ENOENT if path.join("ctl").exists() => {
            format!(
                "the switch there has no ring socket: vde://{where_} works with any switch, vdeshm:// with vdeswitch"
            )
        }
        libc::ENOENT => format!("there is no switch in {where_}"),
        libc::ECONNREFUSED => format!("the switch in {where_} does not run"),
        libc::EACCES => format!("no permission to use the switch in {where_}: {failure}"),
        _ => failure.to_string(),
    }
}

impl Connection {
    /// Readable while frames are there.
    pub fn data_fd(&self) -> RawFd {
        self.data_fd
    }

    /// Readable at the end of the connection.
    pub fn control_fd(&self) -> RawFd {
        self.control.as_raw_fd()
    }

    /// One frame, or an errno.
    pub fn receive(&self, into: &mut [u8], flags: i32) -> Result<usize, i32> {
        let mut waited = false;
        loop {
            let received = lock(&self.receiver).receive(into).map_err(|_| libc::EPROTO)?;
            match received {
                Received::Frame(popped) => return Ok(popped.octets),
                _ if self.waits_not(flags) => return Err(libc::EAGAIN),
                Received::InVain if !waited => return Err(libc::EINTR),
                _ => wait(self.data_fd, self.control_fd())?,
            }
            waited = true;
        }
    }

    /// A whole frame, or an errno.
    pub fn send(&self, frame: &[u8], flags: i32) -> Result<usize, i32> {
        loop {
            let mut sender = lock(&self.sender);
            match sender.send(frame).map_err(|_| libc::EPROTO)? {
                Pushed::Taken => return Ok(frame.len()),
                Pushed::Oversize => return Err(libc::EMSGSIZE),
                Pushed::Full => {}
            }
            if self.waits_not(flags) {
                return Err(libc::EAGAIN);
            }
            if sender.wait_for_room().map_err(|_| libc::EPROTO)? {
                continue;
            }
            drop(sender);
            wait(self.room_fd, self.control_fd())?;
        }
    }

    fn waits_not(&self, flags: i32) -> bool {
        // SAFETY: F_GETFL takes no argument.
        flags & libc::MSG_DONTWAIT != 0 || unsafe { libc::fcntl(self.data_fd, libc::F_GETFL) } & libc::O_NONBLOCK != 0
    }
}

/// A panic while it was held would have left a ring with numbers of its own that are consistent all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until `fd` is readable; ECONNRESET if it is not, and the connection has ended.
fn wait(fd: RawFd, control: RawFd) -> Result<(), i32> {
    let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut entries = [entry(fd), entry(control)];
    // SAFETY: two entries, which live during the call.
    if unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) } < 0 {
        return Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO));
    }
    if entries[0].revents == 0 { Err(libc::ECONNRESET) } else { Ok(()) }
}
