//! One instruction executed by the host between FRSTOR and FNSAVE, from a page of code made for it.

use crate::x87::Fpu;
use soft_float::F80;

/// FNSAVE's image in its 32-bit protected layout: environment of 28 octets, eight registers from ST(0) on.
#[repr(C, align(16))]
#[derive(Clone)]
pub struct Image([u8; 112]);

impl Image {
    pub fn new(control: u16, status: u16) -> Image {
        let mut image = Image([0; 112]);
        image.set_word(0, control);
        image.set_word(4, status);
        image.set_word(8, 0xffff);
        image
    }

    pub fn word(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn set_word(&mut self, at: usize, value: u16) {
        self.0[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    pub fn st(&self, number: usize) -> F80 {
        let mut bits = [0; 16];
        bits[..10].copy_from_slice(&self.0[28 + 10 * number..][..10]);
        F80::from_bits(u128::from_le_bytes(bits))
    }

    pub fn set_st(&mut self, number: usize, value: F80, full: bool) {
        self.0[28 + 10 * number..][..10].copy_from_slice(&value.to_bits().to_le_bytes()[..10]);
        let shift = 2 * ((usize::from(self.word(4) >> 11) + number) & 7);
        let tags = self.word(8) & !(3 << shift);
        let tag = match full {
            false => 3,
            true if value.is_normal() => 0,
            true if value.is_zero() => 1,
            true => 2,
        };
        self.set_word(8, tags | tag << shift);
    }

    pub fn set_register(&mut self, number: usize, value: F80, full: bool) {
        self.set_st(number, value, full);
    }

    pub fn set_control_and_status(&mut self, control: u16, status: u16) {
        self.set_word(0, control);
        self.set_word(4, status);
    }

    pub fn octets(&self) -> &[u8] {
        &self.0[..108]
    }

    pub fn clear_c1(&mut self) {
        self.set_word(4, self.word(4) & !0x200);
    }

    /// What is compared: control, status, tags, registers.
    pub fn visible(&self) -> ([u16; 3], [F80; 8]) {
        ([0, 4, 8].map(|at| self.word(at)), std::array::from_fn(|number| self.st(number)))
    }

    pub fn text(&self) -> String {
        let registers: Vec<String> = (0..8).map(|number| self.st(number).to_string()).collect();
        format!("cw {:04x} sw {:04x} tw {:04x} {}", self.word(0), self.word(4), self.word(8), registers.join(" "))
    }

    pub fn load(&self, fpu: &mut Fpu) {
        fpu.set_tags(self.word(8));
        fpu.set_control(self.word(0));
        fpu.set_status(self.word(4));
        for number in 0..8 {
            fpu.regs[(usize::from(fpu.top) + number) & 7] = self.st(number);
        }
    }

    pub fn of(fpu: &Fpu) -> Image {
        let mut image = Image::new(fpu.control(), fpu.status());
        for number in 0..8u8 {
            image.0[28 + 10 * usize::from(number)..][..10]
                .copy_from_slice(&fpu.st(number).to_bits().to_le_bytes()[..10]);
        }
        image.set_word(8, fpu.tags());
        image
    }
}

pub struct After {
    pub image: Image,
    pub memory: [u8; 128],
    pub flags: u32,
    pub ax: u16,
}

/// A page of code: fn(before, after, memory, flags) → flags and AX.
pub struct Host(*mut u8);

const PAGE: usize = 4096;

impl Host {
    pub fn new(instruction: &[u8]) -> Host {
        // frstor [rdi]; push rcx; popfq; …; pushfq; shl rax, 48; pop rcx; or rax, rcx; fnsave [rsi]; ret
        let mut code = vec![0xdd, 0x27, 0x51, 0x9d];
        code.extend_from_slice(instruction);
        code.extend_from_slice(&[0x9c, 0x48, 0xc1, 0xe0, 48, 0x59, 0x48, 0x09, 0xc8, 0xdd, 0x36, 0xc3]);
        // SAFETY: a new private page.
        unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            let page = libc::mmap(std::ptr::null_mut(), PAGE, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
            assert_ne!(page, libc::MAP_FAILED, "a page for code");
            std::ptr::copy_nonoverlapping(code.as_ptr(), page.cast(), code.len());
            Host(page.cast())
        }
    }

    pub fn execute(&self, before: &Image, memory: [u8; 128], flags: u32) -> After {
        let mut after = After { image: Image([0; 112]), memory, flags: 0, ax: 0 };
        // SAFETY: the page holds such a function; FNSAVE leaves the unit as Rust has it, empty and masked.
        let result = unsafe {
            type Code = unsafe extern "C" fn(*const u8, *mut u8, *mut u8, u64) -> u64;
            let code = std::mem::transmute::<*mut u8, Code>(self.0);
            code(before.0.as_ptr(), after.image.0.as_mut_ptr(), after.memory.as_mut_ptr(), flags.into())
        };
        (after.flags, after.ax) = (result as u32, (result >> 48) as u16);
        after
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody is in it.
        unsafe { libc::munmap(self.0.cast(), PAGE) };
    }
}
