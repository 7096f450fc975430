//! Which ports are copied where (rule 11).

use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Directions as bits: `terms.Direction`.
pub const IN: u8 = 1;
pub const OUT: u8 = 2;

/// Destination → source → directions. A destination is never a source, so copies are not copied again.
#[derive(Debug, Default)]
pub struct Mirrors(BTreeMap<u16, BTreeMap<u16, u8>>);

impl Mirrors {
    /// Replace a destination's sources; none: end the mirror.
    pub fn set(&mut self, destination: u16, sources: &[(u16, u8)]) -> Result<()> {
        let is_other = |port| port != destination && self.0.contains_key(&port);
        for &(source, _) in sources {
            if source == destination || is_other(source) {
                return Err(Error::Invalid(format!("port {source} is a mirror's destination: it cannot be a source")));
            }
        }
        let mut others = self.0.iter().filter(|&(&port, _)| port != destination);
        if !sources.is_empty() && others.any(|(_, of_other)| of_other.contains_key(&destination)) {
            return Err(Error::Invalid(format!("port {destination} is a mirror's source: it cannot be a destination")));
        }
        self.0.remove(&destination);
        if !sources.is_empty() {
            self.0.insert(destination, sources.iter().copied().collect());
        }
        Ok(())
    }

    /// A port is gone.
    pub fn remove(&mut self, port: u16) {
        self.0.remove(&port);
        self.0.retain(|_, sources| sources.remove(&port).is_none() || !sources.is_empty());
    }

    pub fn is_destination(&self, port: u16) -> bool {
        self.0.contains_key(&port)
    }

    /// Where copies of a port's frames of one direction go, in the order of their numbers.
    pub fn copies(&self, port: u16, direction: u8) -> Vec<u16> {
        let wants = |sources: &BTreeMap<u16, u8>| sources.get(&port).is_some_and(|bits| bits & direction != 0);
        self.0.iter().filter(|(_, sources)| wants(sources)).map(|(&destination, _)| destination).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_no_source() {
        let mut mirrors = Mirrors::default();
        mirrors.set(9, &[(1, IN), (2, IN | OUT)]).unwrap();
        mirrors.set(8, &[(2, OUT)]).unwrap();
        assert!(mirrors.set(7, &[(9, IN)]).is_err());
        assert!(mirrors.set(7, &[(7, IN)]).is_err());
        assert!(mirrors.set(2, &[(3, IN)]).is_err());
        assert!(mirrors.set(2, &[]).is_ok());
        assert_eq!(mirrors.copies(2, OUT), [8, 9]);
        assert_eq!(mirrors.copies(1, OUT), [] as [u16; 0]);
    }

    #[test]
    fn a_mirror_ends_with_its_last_source() {
        let mut mirrors = Mirrors::default();
        mirrors.set(9, &[(1, IN)]).unwrap();
        mirrors.remove(2);
        assert!(mirrors.is_destination(9));
        mirrors.remove(1);
        assert!(!mirrors.is_destination(9));
    }
}
