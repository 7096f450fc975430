//! What was decided about frames: `vde/wire/verdict.py`.

/// As many are remembered as there.
pub const RING: usize = 8192;

/// Why a frame was dropped. The order is that of `vde/wire/native.py`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    Passed,
    Down,
    Mtu,
    Loss,
    Queue,
    Held,
    /// The descriptor that it was to be sent on did not take it.
    Refused,
}

pub const FATES: usize = 7;

impl Fate {
    pub fn of(number: u8) -> Option<Fate> {
        [Fate::Passed, Fate::Down, Fate::Mtu, Fate::Loss, Fate::Queue, Fate::Held, Fate::Refused]
            .get(usize::from(number))
            .copied()
    }
}

/// About one copy of one frame; fields as in Python's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub number: u64,
    pub copy: u8,
    pub arrived_ns: i64,
    pub octets: u32,
    pub fate: Fate,
    pub flipped: Vec<u32>,
    pub left_ns: i64,
    pub delay_ns: i64,
    pub reordered: bool,
    pub due_ns: i64,
}

/// The last verdicts, and those about second copies.
pub(crate) struct Ring {
    kept: [Vec<Option<Verdict>>; 2],
}

impl Ring {
    pub fn new() -> Self {
        Ring { kept: [vec![None; RING], vec![None; RING]] }
    }

    /// A frame of this number has come: what the place held is forgotten.
    pub fn begin(&mut self, number: u64) {
        self.kept[1][place(number)] = None;
    }

    /// Remember it, unless the frame is a forgotten one.
    pub fn put(&mut self, verdict: &Verdict) {
        let place = place(verdict.number);
        let kept = &mut self.kept[usize::from(verdict.copy & 1)][place];
        if kept.as_ref().is_none_or(|known| known.number <= verdict.number) {
            *kept = Some(verdict.clone());
        }
    }

    /// About the frame's copies, the first one before the second.
    pub fn find(&self, number: u64) -> impl Iterator<Item = &Verdict> {
        self.kept
            .iter()
            .filter_map(move |kept| kept[place(number)].as_ref())
            .filter(move |known| known.number == number)
    }

    /// All, in no order.
    pub fn into_verdicts(self) -> impl Iterator<Item = Verdict> {
        self.kept.into_iter().flatten().flatten()
    }
}

fn place(number: u64) -> usize {
    (number % RING as u64) as usize
}
