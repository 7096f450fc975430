//! The plane's configuration: every method as the one of the same name in `contract.Forwarder`.

use crate::error::{Error, Result, in_range};
use crate::events::{Event, WATCH_HASH};
use crate::fdb::{Entry, Key};
use crate::frame::Mac;
use crate::limits::{COUNT_MAX, NANOSECONDS_MAX, NO_VLAN, PORT_MAX, VLAN_MAX};
use crate::mirror::{IN, OUT};
use crate::plane::Plane;
use crate::port::{Counters, Port};
use crate::storm::StormBucket;
use crate::vlan::{Member, Vlan};

/// Numbers come unchecked, as wide as a caller may have them.
impl Plane {
    pub fn set_mode(&mut self, hub: bool, fstp: bool, vlan_transparent: bool) {
        (self.hub, self.fstp, self.transparent) = (hub, fstp, vlan_transparent);
    }

    pub fn add_port(&mut self, port: u64, native_vlan: u64) -> Result<()> {
        let number = in_range("port", port, PORT_MAX)? as usize;
        if self.ports.get(number).is_some_and(Option::is_some) {
            return Err(Error::Invalid(format!("port {port} exists")));
        }
        let native = self.check_native(native_vlan)?;
        if self.ports.len() <= number {
            self.ports.resize_with(number + 1, || None);
        }
        self.ports[number] = Some(Box::new(Port::new(native)));
        Ok(())
    }

    pub fn remove_port(&mut self, port: u64) -> Result<()> {
        let number = self.check_port(port)?;
        if !self.port(number).endpoints.is_empty() {
            return Err(Error::Invalid(format!("port {port} has endpoints")));
        }
        for vlan in self.vlans.iter_mut().flatten() {
            vlan.clear(number);
        }
        self.mirrors.remove(number);
        self.ports[usize::from(number)] = None;
        while matches!(self.ports.last(), Some(None)) {
            self.ports.pop();
        }
        self.apply_mirrors();
        let gone = self.table.forget_port(number, |_| true, self.watches_table());
        self.report_forgotten(&gone);
        Ok(())
    }

    pub fn set_native(&mut self, port: u64, native_vlan: u64) -> Result<()> {
        let number = self.check_port(port)?;
        let native = self.check_native(native_vlan)?;
        self.port(number).native = native;
        Ok(())
    }

    pub fn add_vlan(&mut self, vlan: u64) -> Result<()> {
        let place = &mut self.vlans[in_range("VLAN", vlan, VLAN_MAX)? as usize];
        if place.is_some() {
            return Err(Error::Invalid(format!("VLAN {vlan} exists")));
        }
        *place = Some(Vlan::default());
        self.forget_vlan(vlan as u16); // learned while its tag was payload
        Ok(())
    }

    pub fn remove_vlan(&mut self, vlan: u64) -> Result<()> {
        let identifier = self.check_vlan(vlan)?;
        self.forget_vlan(identifier);
        self.vlans[usize::from(identifier)] = None;
        Ok(())
    }

    pub fn set_member(&mut self, vlan: u64, port: u64, member: Member) -> Result<()> {
        let identifier = self.check_vlan(vlan)?;
        let number = self.check_port(port)?;
        if let Some(vlan) = &mut self.vlans[usize::from(identifier)] {
            vlan.set(number, member);
        }
        Ok(())
    }

    pub fn clear_member(&mut self, vlan: u64, port: u64) -> Result<()> {
        let identifier = self.check_vlan(vlan)?;
        let number = self.check_port(port)?;
        let was = self.vlans[usize::from(identifier)].as_mut().is_some_and(|members| members.clear(number));
        if was { Ok(()) } else { Err(Error::Unknown(format!("port {port} is no member of VLAN {vlan}"))) }
    }

    /// `port` is one that `check_port` has found; the slot is its caller's name for the endpoint.
    pub fn add_endpoint(&mut self, port: u16, slot: u32) {
        self.port(port).endpoints.push(slot);
    }

    pub fn remove_endpoint(&mut self, port: u16, slot: u32) {
        self.port(port).endpoints.retain(|&other| other != slot);
    }

    pub fn set_aging(&mut self, expire_ns: u64, gc_interval_ns: u64, min_persistence_ns: u64) -> Result<()> {
        for (what, value_ns) in
            [("expire_ns", expire_ns), ("gc_ns", gc_interval_ns), ("min_persistence_ns", min_persistence_ns)]
        {
            in_range(what, value_ns, NANOSECONDS_MAX)?;
        }
        self.table.expire_ns = expire_ns;
        self.table.min_persistence_ns = min_persistence_ns;
        self.gc_interval_ns = gc_interval_ns;
        Ok(())
    }

    pub fn set_table_limit(&mut self, addresses: u64) -> Result<()> {
        self.table.addresses_max = in_range("table limit", addresses, COUNT_MAX)? as u32;
        Ok(())
    }

    pub fn set_port_limits(&mut self, port: u64, addresses: Option<u64>, storm: Option<u64>) -> Result<()> {
        let number = self.check_port(port)?;
        let limit = |what, value: Option<u64>| -> Result<Option<u32>> {
            value.map(|value| in_range(what, value, COUNT_MAX).map(|value| value as u32)).transpose()
        };
        let (addresses, storm) = (limit("address limit", addresses)?, limit("storm limit", storm)?);
        let port = self.port(number);
        port.addresses_max = addresses;
        port.storm = storm.map(StormBucket::new);
        Ok(())
    }

    /// `sources`: ports and their directions' bits.
    pub fn set_mirror(&mut self, destination: u64, sources: &[(u64, u8)]) -> Result<()> {
        let destination = self.check_port(destination)?;
        let sources = sources
            .iter()
            .map(|&(source, directions)| Ok((self.check_port(source)?, directions)))
            .collect::<Result<Vec<_>>>()?;
        self.mirrors.set(destination, &sources)?;
        self.apply_mirrors();
        Ok(())
    }

    pub fn lookup(&self, mac: &Mac, vlan: u64) -> Option<Entry> {
        let vlan = u16::try_from(vlan).ok().filter(|&vlan| u64::from(vlan) <= VLAN_MAX)?;
        self.table.find(Key::new(mac, vlan)).copied()
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.table.iter().copied().collect()
    }

    pub fn flush_port(&mut self, port: u64, vlan: Option<u64>) -> Result<()> {
        let number = self.check_port(port)?;
        let vlan = vlan.map(|vlan| self.check_vlan(vlan)).transpose()?;
        let vlans = &self.vlans;
        let of = |key| vlan.is_none_or(|vlan| is_keyed_by(vlans, vlan, key));
        let gone = self.table.forget_port(number, of, self.watch & WATCH_HASH != 0);
        self.report_forgotten(&gone);
        Ok(())
    }

    pub fn flush_vlan(&mut self, vlan: u64) -> Result<()> {
        let vlan = self.check_vlan(vlan)?;
        self.forget_vlan(vlan);
        Ok(())
    }

    fn forget_vlan(&mut self, vlan: u16) {
        let vlans = &self.vlans;
        let gone = self.table.forget_vlans(|key| is_keyed_by(vlans, vlan, key), self.watch & WATCH_HASH != 0);
        self.report_forgotten(&gone);
    }

    pub fn flush(&mut self) {
        let gone = self.table.forget_all(self.watches_table());
        self.report_forgotten(&gone);
    }

    pub fn statistics(&self, port: u64) -> Result<Counters> {
        let number = self.check_port(port)?;
        Ok(self.ports[usize::from(number)].as_ref().map(|port| port.counters).unwrap_or_default())
    }

    pub fn reset_statistics(&mut self, port: u64) -> Result<()> {
        let number = self.check_port(port)?;
        self.port(number).counters = Counters::default();
        Ok(())
    }

    pub fn set_watch(&mut self, what: u32) {
        self.watch = what;
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.take()
    }

    pub fn events_lost(&self) -> u64 {
        self.events.lost()
    }

    pub fn check_port(&self, port: u64) -> Result<u16> {
        match self.ports.get(port as usize) {
            Some(Some(_)) => Ok(port as u16),
            _ => Err(Error::Unknown(format!("port {port} does not exist"))),
        }
    }

    /// A port that `check_port` has found.
    fn port(&mut self, number: u16) -> &mut Port {
        self.ports[usize::from(number)].as_mut().expect("check_port was asked before")
    }

    fn check_vlan(&self, vlan: u64) -> Result<u16> {
        match self.vlans.get(vlan as usize) {
            Some(Some(_)) => Ok(vlan as u16),
            _ => Err(Error::Unknown(format!("VLAN {vlan} does not exist"))),
        }
    }

    fn check_native(&self, vlan: u64) -> Result<u16> {
        if vlan == u64::from(NO_VLAN) { Ok(NO_VLAN) } else { self.check_vlan(vlan) }
    }

    fn watches_table(&self) -> bool {
        self.watch & WATCH_HASH != 0
    }

    fn apply_mirrors(&mut self) {
        for (number, port) in self.ports.iter_mut().enumerate() {
            if let Some(port) = port {
                let number = number as u16;
                port.is_mirror = self.mirrors.is_destination(number);
                port.copies_in = self.mirrors.copies(number, IN);
                port.copies_out = self.mirrors.copies(number, OUT);
            }
        }
    }
}

/// Is `key` what the table has for addresses of `vlan`? Rule 6: VLAN 0's has the undefined ones, too.
fn is_keyed_by(vlans: &[Option<Vlan>], vlan: u16, key: u16) -> bool {
    key == vlan || (vlan == 0 && vlans[usize::from(key)].is_none())
}
