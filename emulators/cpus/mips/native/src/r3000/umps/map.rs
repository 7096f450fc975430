//! What is where in uMPS's physical space.

use guest_memory::{Memory, PAGE_OCTETS, RamPage};

/// The bus registers: every access is an exit.
const DEVICES: std::ops::Range<u32> = 0x1000_0000..0x1000_0518;
/// Below it, pages may be memory in part: a ROM ends where its file does.
pub(crate) const WHOLE_PAGES: u32 = 0x0fff_f000;

/// Where an address leads.
pub(crate) enum Place {
    Memory(RamPage),
    Device,
    Nothing,
}

/// The parts of the space that memory itself does not know.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub ram_base: u32,
    pub ram_octets: u32,
    /// (address, octets) of ROMs; their last pages may be memory in part.
    pub roms: Vec<(u32, u32)>,
}

impl Map {
    pub(crate) fn is_device(&self, gpa: u32) -> bool {
        DEVICES.contains(&gpa)
    }

    /// Where CAS works.
    pub(crate) fn is_ram(&self, gpa: u32) -> bool {
        gpa.wrapping_sub(self.ram_base) < self.ram_octets
    }

    /// How many octets of the page at `gpa` are memory, if it is memory at all.
    pub(crate) fn octets_of_page(&self, gpa: u32) -> u32 {
        let page = gpa & !(PAGE_OCTETS - 1);
        let rom =
            self.roms.iter().find(|&&(base, octets)| octets != 0 && (base + octets - 1) & !(PAGE_OCTETS - 1) == page);
        rom.map_or(PAGE_OCTETS, |&(base, octets)| base + octets - page)
    }

    pub(crate) fn place(&self, memory: &Memory, gpa: u32) -> Place {
        if self.is_device(gpa) {
            return Place::Device;
        }
        match memory.page(gpa) {
            Some(page) if gpa % PAGE_OCTETS < self.octets_of_page(gpa) => Place::Memory(page),
            _ => Place::Nothing,
        }
    }
}
