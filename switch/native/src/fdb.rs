//! The learning table: which port an address of a VLAN was last heard on.
//!
//! Entries lie in a slab; a hash table maps keys to their places. A place found once is kept by the caller as a
//! [`Hint`], which proves itself (the entry there has the key, or it has not), so that traffic between the same
//! stations needs no hashing. The hash function is keyed, because addresses come from guests.
//!
//! Source: IEEE 802.1Q-2018 §8.8. Bounds: the whole table and each port, if limited. An entry costs some 40 octets; the
//! slab keeps the size that it once had until everything is forgotten. Static entries are not supported.

use crate::frame::Mac;
use crate::limits::TABLE_ADDRESSES;
use hashbrown::HashTable;

/// Where an entry was last found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint(u32);

/// An address in a VLAN: 48 and 12 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

/// No key: they have 60 bits.
const VACANT: Key = Key(u64::MAX);

impl Key {
    pub fn new(mac: &Mac, vlan: u16) -> Self {
        let [a, b, c, d, e, f] = *mac;
        Key(u64::from_be_bytes([0, 0, a, b, c, d, e, f]) << 12 | u64::from(vlan))
    }

    pub fn mac(self) -> Mac {
        let [_, _, a, b, c, d, e, f] = (self.0 >> 12).to_be_bytes();
        [a, b, c, d, e, f]
    }

    pub fn vlan(self) -> u16 {
        (self.0 & 0xFFF) as u16
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub last_seen_ns: u64,
    /// Grows with every insertion or move.
    pub serial: u64,
    pub port: u16,
}

/// What `learn` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Known on this port.
    Refreshed,
    /// New, or moved to this port.
    Learned,
    /// Heard on another port too recently: the entry stays.
    Held,
    /// A limit does not allow it.
    Full,
}

pub struct Table {
    entries: Vec<Entry>,
    vacant: Vec<u32>,
    places: HashTable<u32>,
    on_port: Vec<u32>,
    serial: u64,
    secret: [u64; 2],
    pub addresses_max: u32,
    pub expire_ns: u64,
    pub min_persistence_ns: u64,
}

impl Table {
    pub fn new(seed: u64) -> Self {
        Table {
            entries: Vec::new(),
            vacant: Vec::new(),
            places: HashTable::new(),
            on_port: Vec::new(),
            serial: 0,
            secret: [spread(seed), spread(seed.wrapping_add(1)) | 1],
            addresses_max: TABLE_ADDRESSES,
            expire_ns: 100_000_000_000, // vde_switch's defaults: 100 s, 3 s
            min_persistence_ns: 3_000_000_000,
        }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.key != VACANT)
    }

    pub fn find(&self, key: Key) -> Option<&Entry> {
        self.place(key).map(|place| &self.entries[place as usize])
    }

    /// Where a frame to `key` goes; None: unknown.
    #[inline]
    pub fn port_of(&self, key: Key, hint: &mut Hint) -> Option<u16> {
        match self.entries.get(hint.0 as usize) {
            Some(entry) if entry.key == key => Some(entry.port),
            _ => self.place(key).map(|place| {
                hint.0 = place;
                self.entries[place as usize].port
            }),
        }
    }

    /// `key` was heard on `port`.
    #[inline]
    pub fn learn(
        &mut self,
        key: Key,
        port: u16,
        port_addresses_max: Option<u32>,
        now_ns: u64,
        hint: &mut Hint,
    ) -> Outcome {
        if let Some(entry) = self.entries.get_mut(hint.0 as usize) {
            if entry.key == key && entry.port == port {
                entry.last_seen_ns = now_ns;
                return Outcome::Refreshed;
            }
        }
        self.learn_unhinted(key, port, port_addresses_max, now_ns, hint)
    }

    fn learn_unhinted(
        &mut self,
        key: Key,
        port: u16,
        port_addresses_max: Option<u32>,
        now_ns: u64,
        hint: &mut Hint,
    ) -> Outcome {
        let known = self.place(key);
        if let Some(place) = known {
            let entry = &mut self.entries[place as usize];
            if entry.port == port {
                entry.last_seen_ns = now_ns;
                hint.0 = place;
                return Outcome::Refreshed;
            }
            if now_ns.saturating_sub(entry.last_seen_ns) <= self.min_persistence_ns {
                return Outcome::Held;
            }
        }
        if port_addresses_max.is_some_and(|most| self.count_on(port) >= most) {
            return Outcome::Full;
        }
        let entry = Entry { key, last_seen_ns: now_ns, serial: self.serial + 1, port };
        let place = match known {
            Some(place) => {
                let from = self.entries[place as usize].port;
                self.on_port[usize::from(from)] -= 1;
                self.entries[place as usize] = entry;
                place
            }
            None if self.len() >= self.addresses_max as usize => return Outcome::Full,
            None => self.insert(entry),
        };
        self.serial += 1;
        if self.on_port.len() <= usize::from(port) {
            self.on_port.resize(usize::from(port) + 1, 0);
        }
        self.on_port[usize::from(port)] += 1;
        hint.0 = place;
        Outcome::Learned
    }

    /// Forget what has not been heard of for longer than `expire_ns`. As `forget`.
    pub fn expire(&mut self, now_ns: u64, wanted: bool) -> Vec<Entry> {
        let Some(oldest_ns) = now_ns.checked_sub(self.expire_ns) else {
            return Vec::new();
        };
        self.forget(|entry| entry.last_seen_ns < oldest_ns, wanted)
    }

    /// Forget a port's addresses in the VLANs that `of` names. As `forget`.
    pub fn forget_port(&mut self, port: u16, of: impl Fn(u16) -> bool, wanted: bool) -> Vec<Entry> {
        if self.count_on(port) == 0 {
            return Vec::new();
        }
        self.forget(|entry| entry.port == port && of(entry.key.vlan()), wanted)
    }

    /// Forget the addresses in the VLANs that `of` names. As `forget`.
    pub fn forget_vlans(&mut self, of: impl Fn(u16) -> bool, wanted: bool) -> Vec<Entry> {
        self.forget(|entry| of(entry.key.vlan()), wanted)
    }

    /// Forget every address, and give the memory back. As `forget`.
    pub fn forget_all(&mut self, wanted: bool) -> Vec<Entry> {
        let gone = self.forget(|_| true, wanted);
        self.entries = Vec::new();
        self.vacant = Vec::new();
        self.places = HashTable::new();
        gone
    }

    /// Forget what `which` names; returns it, if `wanted`, in the order in which it was learned.
    fn forget(&mut self, which: impl Fn(&Entry) -> bool, wanted: bool) -> Vec<Entry> {
        let mut gone = Vec::new();
        for place in 0..self.entries.len() {
            let entry = self.entries[place];
            if entry.key == VACANT || !which(&entry) {
                continue;
            }
            let hash = self.hash(entry.key);
            if let Ok(occupied) = self.places.find_entry(hash, |&other| other as usize == place) {
                occupied.remove();
            }
            self.on_port[usize::from(entry.port)] -= 1;
            self.entries[place].key = VACANT;
            self.vacant.push(place as u32);
            if wanted {
                gone.push(entry);
            }
        }
        gone.sort_unstable_by_key(|entry| entry.serial);
        gone
    }

    fn insert(&mut self, entry: Entry) -> u32 {
        let place = match self.vacant.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        let (entries, secret) = (&self.entries, self.secret);
        let hash = mix(secret, entry.key);
        self.places.insert_unique(hash, place, |&other| mix(secret, entries[other as usize].key));
        place
    }

    fn place(&self, key: Key) -> Option<u32> {
        self.places.find(self.hash(key), |&place| self.entries[place as usize].key == key).copied()
    }

    fn hash(&self, key: Key) -> u64 {
        mix(self.secret, key)
    }

    fn count_on(&self, port: u16) -> u32 {
        self.on_port.get(usize::from(port)).copied().unwrap_or(0)
    }
}

/// A folded multiplication: both halves of the product depend on all of the key and the secrets.
#[inline]
fn mix(secret: [u64; 2], key: Key) -> u64 {
    let product = u128::from(key.0 ^ secret[0]) * u128::from(secret[1]);
    (product as u64 ^ (product >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// splitmix64: one seed to many unlike numbers.
fn spread(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn key(number: u32) -> Key {
        let [a, b, c, d] = number.to_be_bytes();
        Key::new(&[2, 0, a, b, c, d], 7)
    }

    fn learn(table: &mut Table, number: u32, port: u16, now_ns: u64) -> Outcome {
        table.learn(key(number), port, None, now_ns, &mut Hint::default())
    }

    #[test]
    fn a_key_keeps_both_parts() {
        let key = Key::new(&[1, 2, 3, 4, 5, 6], 4093);
        assert_eq!((key.mac(), key.vlan()), ([1, 2, 3, 4, 5, 6], 4093));
    }

    #[test]
    fn an_address_moves_only_after_a_while() {
        let mut table = Table::new(1);
        assert_eq!(learn(&mut table, 1, 1, S), Outcome::Learned);
        assert_eq!(learn(&mut table, 1, 2, 4 * S), Outcome::Held);
        assert_eq!(learn(&mut table, 1, 2, 4 * S + 1), Outcome::Learned);
        let entry = table.find(key(1)).unwrap();
        assert_eq!((entry.port, entry.last_seen_ns, entry.serial), (2, 4 * S + 1, 2));
        assert_eq!((table.count_on(1), table.count_on(2)), (0, 1));
    }

    #[test]
    fn a_hint_never_answers_for_another_address() {
        let mut table = Table::new(2);
        let mut hint = Hint::default();
        assert_eq!(table.port_of(key(1), &mut hint), None);
        learn(&mut table, 1, 1, S);
        assert_eq!(table.port_of(key(1), &mut hint), Some(1));
        table.forget_all(false);
        assert_eq!(table.port_of(key(1), &mut hint), None);
        learn(&mut table, 2, 5, S);
        assert_eq!(table.port_of(key(1), &mut hint), None);
        assert_eq!(table.port_of(key(2), &mut hint), Some(5));
        table.forget_port(5, |_| true, false);
        assert_eq!(table.learn(key(2), 5, None, S, &mut hint), Outcome::Learned);
    }

    #[test]
    fn limits_of_table_and_port() {
        let mut table = Table::new(3);
        table.addresses_max = 2;
        assert_eq!(table.learn(key(1), 1, Some(1), 0, &mut Hint::default()), Outcome::Learned);
        assert_eq!(table.learn(key(2), 1, Some(1), 0, &mut Hint::default()), Outcome::Full);
        assert_eq!(learn(&mut table, 2, 2, 0), Outcome::Learned);
        assert_eq!(learn(&mut table, 3, 3, 0), Outcome::Full);
        assert_eq!(learn(&mut table, 1, 2, 10 * S), Outcome::Learned);
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_hundred_thousand_come_and_go() {
        let mut table = Table::new(4);
        for number in 0..100_000 {
            assert_eq!(learn(&mut table, number, (number % 1000) as u16, u64::from(number)), Outcome::Learned);
        }
        table.expire_ns = 50_000;
        let gone = table.expire(100_000, true);
        assert_eq!(gone.len(), 50_000);
        assert!(gone.windows(2).all(|pair| pair[0].serial < pair[1].serial));
        assert_eq!(table.len(), 50_000);
        assert_eq!(table.iter().count(), 50_000);
        assert!(table.find(key(49_999)).is_none() && table.find(key(50_000)).is_some());
        for number in 0..50_000 {
            assert_eq!(learn(&mut table, number, 3, 100_000), Outcome::Learned);
        }
        assert_eq!(table.entries.len(), 100_000);
    }
}
