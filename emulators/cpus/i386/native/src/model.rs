//! Processor models: what CPUID says, and so what is implemented.
//!
//! Specification: Intel 64 and IA-32 Architectures Software Developer's Manual (SDM), volume 2A, CPUID; Intel AP-485,
//! *Intel Processor Identification and the CPUID Instruction*, for signatures, cache descriptors and brand numbers.
//!
//! A model has the features of the product that it is named for, less those that this engine has not: advertised is only
//! what is implemented. Left out so: virtual-8086 mode extensions (VME), machine checks (MCE, MCA), the serial number (PN),
//! PSE-36. What no bit of CPUID tells (BSWAP, CMPXCHG, XADD, INVLPG, CPUID) every model has.
//!
//! Options, on top of a model: physical address extension (`pae`), execution rights by page (`nx`, with PAE), `sse2`, and
//! `apic`: that there is a local APIC (a device of the machine; its base address is an MSR here).

/// Features by their places in CPUID.1:EDX (SDM 2A, table 3-11); from bit 32 on those of CPUID.80000001H:EDX.
pub type Features = u64;

pub const FPU: Features = 1;
/// Debugging extensions: I/O breakpoints, and DR4 and DR5 are no names of DR6 and DR7.
pub const DE: Features = 1 << 2;
pub const PSE: Features = 1 << 3;
pub const TSC: Features = 1 << 4;
pub const MSR: Features = 1 << 5;
pub const PAE: Features = 1 << 6;
pub const CX8: Features = 1 << 8;
pub const APIC: Features = 1 << 9;
pub const SEP: Features = 1 << 11;
pub const MTRR: Features = 1 << 12;
pub const PGE: Features = 1 << 13;
pub const CMOV: Features = 1 << 15;
pub const PAT: Features = 1 << 16;
pub const MMX: Features = 1 << 23;
pub const FXSR: Features = 1 << 24;
pub const SSE: Features = 1 << 25;
pub const SSE2: Features = 1 << 26;
pub const NX: Features = 1 << (32 + 20);

/// What is added to a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub pae: bool,
    pub nx: bool,
    pub sse2: bool,
    pub apic: bool,
}

/// A model, options included.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    pub name: &'static str,
    pub options: Options,
    /// Family, model and stepping as in CPUID.1:EAX, and in EDX after a reset.
    pub signature: u32,
    pub features: Features,
    /// CPUID.1:EBX bits 7–0 (AP-485, table 5-10).
    brand_number: u8,
    /// CPUID.2, EAX to EDX; none: leaf 1 is the last one.
    descriptors: Option<[u32; 4]>,
    brand: &'static str,
}

/// Width of physical addresses: memory ends at 4 GiB, so PAE's further bits are reserved ones.
const PHYSICAL_BITS: u32 = 32;

const PENTIUM: Features = FPU | DE | PSE | TSC | MSR | CX8 | MMX;
const PENTIUM2: Features = PENTIUM | SEP | MTRR | PGE | CMOV | FXSR;
const PENTIUM3: Features = PENTIUM2 | PAT | SSE;

const I486: Model = Model {
    name: "486",
    options: NONE,
    signature: 0x480, // IntelDX4
    features: FPU,
    brand_number: 0,
    descriptors: None,
    brand: "Intel 486 DX4",
};
const P5: Model = Model {
    name: "pentium",
    signature: 0x543, // with MMX technology (P55C)
    features: PENTIUM,
    brand: "Intel Pentium MMX",
    ..I486
};
/// Instruction TLBs of 32 and 2 entries, data TLBs of 64 and 8, caches of 2 × 16 KiB, and the second level's descriptor.
const fn caches(second_level: u32) -> Option<[u32; 4]> {
    Some([0x0302_0101, 0, 0, 0x0c04_0800 | second_level])
}
const P2: Model = Model {
    name: "pentium2",
    signature: 0x652,
    features: PENTIUM2,
    descriptors: caches(0x43), // 512 KiB
    brand: "Intel(R) Pentium(R) II processor",
    ..I486
};
const P3: Model = Model {
    name: "pentium3",
    signature: 0x683, // Coppermine
    features: PENTIUM3,
    brand_number: 2,
    descriptors: caches(0x82), // 256 KiB
    brand: "Intel(R) Pentium(R) III processor",
    ..I486
};

const NONE: Options = Options { pae: false, nx: false, sse2: false, apic: false };
const WITH_PAE: Options = Options { pae: true, ..NONE };
const WITH_NX: Options = Options { nx: true, ..WITH_PAE };

const fn with(model: Model, options: Options) -> Model {
    let mut features = model.features;
    if options.pae {
        features |= PAE;
    }
    if options.nx {
        features |= NX;
    }
    if options.sse2 {
        features |= SSE2;
    }
    if options.apic {
        features |= APIC;
    }
    Model { options, features, ..model }
}

/// Each model without and with what can be added to it.
const fn models() -> [Model; 21] {
    const ADDRESSES: [Options; 3] = [NONE, WITH_PAE, WITH_NX];
    let mut models = [I486; 21];
    let mut count = 1;
    let mut bits = 0;
    while bits < 12 {
        let apic = bits & 1 != 0;
        let sse2 = bits & 2 != 0;
        let addresses = ADDRESSES[bits / 4];
        if bits < 2 {
            models[count] = with(P5, Options { apic, ..NONE });
            count += 1;
        }
        if !sse2 {
            models[count] = with(P2, Options { apic, ..addresses });
            count += 1;
        }
        models[count] = with(P3, Options { apic, sse2, ..addresses });
        count += 1;
        bits += 1;
    }
    assert!(count == 21);
    models
}

static MODELS: [Model; 21] = models();

/// The models' names, the oldest first.
pub const NAMES: [&str; 4] = ["486", "pentium", "pentium2", "pentium3"];

impl Model {
    /// The model of that name with these options, if there is such a one. `nx` means `pae` as well.
    pub fn find(name: &str, options: Options) -> Option<&'static Model> {
        let options = Options { pae: options.pae || options.nx, ..options };
        MODELS.iter().find(|model| model.name == name && model.options == options)
    }

    /// Has it all of `features`?
    #[inline(always)]
    pub fn has(&self, features: Features) -> bool {
        self.features & features == features
    }

    /// CPUID: EAX, EBX, ECX, EDX of a leaf. One beyond the last is answered as the last basic one (SDM 2A, CPUID).
    pub fn cpuid(&self, leaf: u32) -> [u32; 4] {
        let last_basic = if self.descriptors.is_some() { 2 } else { 1 };
        // Processors of the time had no extended leaves; they are there when something is told by them.
        let last_extended = if self.has(PAE) { 0x8000_0008 } else { 0 };
        match leaf {
            0 => {
                let word = |text: &[u8; 4]| u32::from_le_bytes(*text);
                [last_basic, word(b"Genu"), word(b"ntel"), word(b"ineI")]
            }
            1 => [self.signature, self.brand_number.into(), 0, self.features as u32],
            0x8000_0000..=0x8000_0008 if leaf <= last_extended => match leaf & 0xff {
                0 => [last_extended, 0, 0, 0],
                1 => [0, 0, 0, (self.features >> 32) as u32],
                part @ 2..=4 => self.brand_part(part - 2),
                8 => [PHYSICAL_BITS | 32 << 8, 0, 0, 0],
                _ => [0; 4],
            },
            _ => match self.descriptors {
                Some(descriptors) => descriptors,
                None => self.cpuid(1),
            },
        }
    }

    /// 16 octets of the name, which fills 48 with zeros behind it.
    fn brand_part(&self, part: u32) -> [u32; 4] {
        let octet = |at: usize| self.brand.as_bytes().get(at).copied().unwrap_or(0);
        std::array::from_fn(|register| {
            let at = part as usize * 16 + register * 4;
            u32::from_le_bytes([octet(at), octet(at + 1), octet(at + 2), octet(at + 3)])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Options = Options { pae: true, nx: true, sse2: true, apic: true };

    #[test]
    fn a_model_is_found_with_its_options_only() {
        for name in NAMES {
            assert_eq!(Model::find(name, Options::default()).unwrap().name, name);
        }
        assert!(Model::find("486", WITH_PAE).is_none());
        assert!(Model::find("pentium2", Options { sse2: true, ..NONE }).is_none());
        assert!(Model::find("8086", NONE).is_none());
        let nx = Model::find("pentium3", Options { nx: true, ..NONE }).unwrap();
        assert!(nx.has(PAE | NX) && !nx.has(SSE2) && !nx.has(APIC));
        assert!(Model::find("pentium", Options { apic: true, ..NONE }).unwrap().has(APIC));
        assert!(Model::find("486", Options { apic: true, ..NONE }).is_none());
    }

    #[test]
    fn each_model_has_what_the_one_before_has() {
        let mut before = 0;
        for name in NAMES {
            let features = Model::find(name, NONE).unwrap().features;
            assert_eq!(features & before, before, "{name}");
            assert_ne!(features, before, "{name}");
            before = features;
        }
    }

    #[test]
    fn leaves() {
        let plain = Model::find("pentium3", NONE).unwrap();
        assert_eq!(plain.cpuid(0), [2, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]);
        assert_eq!(plain.cpuid(1), [0x683, 2, 0, 0x0381_b93d]);
        assert_eq!(plain.cpuid(2), [0x0302_0101, 0, 0, 0x0c04_0882]);
        assert_eq!(plain.cpuid(0x8000_0000), plain.cpuid(2));
        let all = Model::find("pentium3", ALL).unwrap();
        assert_eq!(all.cpuid(0x8000_0000)[0], 0x8000_0008);
        assert_eq!(all.cpuid(0x8000_0001), [0, 0, 0, 1 << 20]);
        assert_eq!(all.cpuid(0x8000_0008)[0], 0x2020);
        let brand: Vec<u8> =
            (0x8000_0002..=0x8000_0004).flat_map(|leaf| all.cpuid(leaf)).flat_map(u32::to_le_bytes).collect();
        assert_eq!(brand.len(), 48);
        assert!(brand.starts_with(b"Intel(R) Pentium(R) III processor\0"));
        let old = Model::find("486", NONE).unwrap();
        assert_eq!(old.cpuid(0)[0], 1);
        assert_eq!(old.cpuid(7), [0x480, 0, 0, 1]);
    }
}
