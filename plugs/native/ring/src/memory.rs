//! The shared memory: made, checked and mapped. Each ring's data is mapped twice in a row, so that nothing wraps.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

const MAGIC: &[u8; 8] = b"VDERING\0";
const VERSION: u32 = 1;
const HEADER_OCTETS: usize = 4096;
const CONTROL_OFFSETS: [usize; 2] = [512, 1024];
const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// Sizes of a ring, within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    ring_octets: u32,
    frame_octets: u32,
}

impl Layout {
    pub const RING_OCTETS_MIN: u32 = 1 << 16;
    pub const RING_OCTETS_MAX: u32 = 1 << 24;
    /// Chosen: 170 frames of 1514 octets; two of them stay in a second-level cache.
    pub const RING_OCTETS: u32 = 1 << 18;
    /// libvdeplug's longest frame, with a tag put in.
    pub const FRAME_OCTETS: u32 = 9238;
    pub const FRAME_OCTETS_MIN: u32 = 1518;
    /// A frame of 65,535 octets with a tag put in.
    pub const FRAME_OCTETS_MAX: u32 = 65_539;

    /// None: out of bounds, or the ring would not hold two of the longest frames.
    pub fn new(ring_octets: u32, frame_octets: u32) -> Option<Self> {
        let sizes = (Self::RING_OCTETS_MIN..=Self::RING_OCTETS_MAX).contains(&ring_octets)
            && (Self::FRAME_OCTETS_MIN..=Self::FRAME_OCTETS_MAX).contains(&frame_octets)
            && ring_octets.is_power_of_two();
        (sizes && 2 * crate::record_octets(frame_octets) <= ring_octets).then_some(Layout { ring_octets, frame_octets })
    }

    /// What is nearest to a wish (0: none) within bounds.
    pub fn for_wish(ring_octets: u32, frame_octets: u32) -> Self {
        let frame = if frame_octets == 0 { Self::FRAME_OCTETS } else { frame_octets };
        let frame_octets = frame.clamp(Self::FRAME_OCTETS_MIN, Self::FRAME_OCTETS_MAX);
        let wished = if ring_octets == 0 { Self::RING_OCTETS } else { ring_octets };
        let least = Self::RING_OCTETS_MIN.max(2 * crate::record_octets(frame_octets));
        let ring_octets = wished.clamp(least, Self::RING_OCTETS_MAX).next_power_of_two();
        Layout { ring_octets, frame_octets }
    }

    pub fn ring_octets(self) -> u32 {
        self.ring_octets
    }

    pub fn frame_octets(self) -> u32 {
        self.frame_octets
    }

    fn file_octets(self) -> usize {
        HEADER_OCTETS + 2 * self.ring_octets as usize
    }
}

/// The mapped memory of both rings.
#[derive(Debug)]
pub struct Memory {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the mapping lives as long as the value and is only reached by atomics and by copies through raw pointers.
unsafe impl Send for Memory {}
// SAFETY: likewise.
unsafe impl Sync for Memory {}

/// The four numbers of a ring.
pub(crate) struct Control<'a> {
    pub head: &'a AtomicU32,
    pub tail: &'a AtomicU32,
    pub consumer_sleeps: &'a AtomicU32,
    pub producer_waits: &'a AtomicU32,
}

impl Memory {
    /// New memory, as a sealed descriptor to share and as a mapping.
    pub fn create(layout: Layout) -> io::Result<(OwnedFd, Self)> {
        // SAFETY: the name is a C string; the descriptor is new and nobody else's.
        let fd = unsafe { libc::memfd_create(c"vde-ring".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let file = File::from(fd);
        file.set_len(layout.file_octets() as u64)?;
        let fd = OwnedFd::from(file);
        // SAFETY: F_ADD_SEALS takes an int.
        if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let memory = Memory::map(&fd, layout)?;
        memory.copy_in(0, MAGIC);
        memory.copy_in(8, &VERSION.to_ne_bytes());
        memory.copy_in(12, &layout.ring_octets.to_ne_bytes());
        memory.copy_in(16, &layout.frame_octets.to_ne_bytes());
        Ok((fd, memory))
    }

    /// Another's memory. What its header says is checked against its size, which its seals keep.
    pub fn open(fd: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: F_GET_SEALS takes no argument.
        let seals = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) };
        if seals < 0 || seals & libc::F_SEAL_SHRINK == 0 {
            return Err(invalid("the ring's memory is not sealed against shrinking"));
        }
        let file = File::from(fd.try_clone_to_owned()?);
        let mut header = [0; 20];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut header, 0)?;
        let number = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if &header[..8] != MAGIC || number(8) != VERSION {
            return Err(invalid("the memory holds no rings of version 1"));
        }
        let layout = Layout::new(number(12), number(16)).ok_or_else(|| invalid("the rings' sizes are not possible"))?;
        if file.metadata()?.len() != layout.file_octets() as u64 {
            return Err(invalid("the memory has not the size of its rings"));
        }
        Memory::map(&OwnedFd::from(file), layout)
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    fn map(fd: &OwnedFd, layout: Layout) -> io::Result<Self> {
        let ring = layout.ring_octets as usize;
        // SAFETY: a reservation anywhere; the kernel chooses a place that is free.
        let base = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(ptr::null_mut(), mapped_octets(layout), libc::PROT_NONE, flags, -1, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let Some(base) = NonNull::new(base.cast::<u8>()) else {
            return Err(io::Error::other("mapped at 0"));
        };
        let memory = Memory { base, layout }; // from here on unmapped when dropped
        let data = HEADER_OCTETS;
        memory.place(fd, 0, 0, HEADER_OCTETS)?;
        for (at, offset) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
            memory.place(fd, data + at * ring, data + offset * ring, ring)?;
        }
        Ok(memory)
    }

    /// Map `octets` of the file from `offset` on, `at` octets into the reservation.
    fn place(&self, fd: &OwnedFd, at: usize, offset: usize, octets: usize) -> io::Result<()> {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
        // SAFETY: within the reservation, which is ours, and which nothing points into yet.
        let placed = unsafe {
            let place = self.base.as_ptr().add(at).cast::<c_void>();
            libc::mmap(place, octets, access, flags, fd.as_raw_fd(), offset as libc::off_t)
        };
        if placed == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn copy_in(&self, at: usize, octets: &[u8]) {
        assert!(at + octets.len() <= HEADER_OCTETS);
        // SAFETY: within the header's mapping.
        unsafe { ptr::copy_nonoverlapping(octets.as_ptr(), self.base.as_ptr().add(at), octets.len()) };
    }

    pub(crate) fn control(&self, ring: usize) -> Control<'_> {
        let number = |offset: usize| {
            // SAFETY: within the header's mapping, aligned, and everybody's access to it is atomic.
            unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(CONTROL_OFFSETS[ring] + offset).cast()) }
        };
        Control { head: number(0), tail: number(128), consumer_sleeps: number(256), producer_waits: number(384) }
    }

    /// Where `position` of `ring` is: from there, `ring_octets` are mapped.
    pub(crate) fn at(&self, ring: usize, position: u32) -> *mut u8 {
        let ring_octets = self.layout.ring_octets as usize;
        let offset = HEADER_OCTETS + 2 * ring * ring_octets + (position as usize & (ring_octets - 1));
        // SAFETY: less than `ring_octets` into the first of the two mappings of the ring's data.
        unsafe { self.base.as_ptr().add(offset) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the reservation is ours, and nothing that points into it outlives this value.
        unsafe { libc::munmap(self.base.as_ptr().cast(), mapped_octets(self.layout)) };
    }
}

fn mapped_octets(layout: Layout) -> usize {
    HEADER_OCTETS + 4 * layout.ring_octets as usize
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Take a flag that the peer has raised.
pub(crate) fn take_flag(flag: &AtomicU32) -> bool {
    flag.load(Ordering::Relaxed) != 0 && flag.swap(0, Ordering::Relaxed) != 0
}
