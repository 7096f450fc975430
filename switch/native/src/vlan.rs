//! A VLAN's members, in the two shapes that frames ask for: by port, and in order to flood.

/// How a port is a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Do frames of the VLAN leave the port with a tag?
    pub tagged: bool,
    pub learning: bool,
    pub forwarding: bool,
}

#[derive(Debug, Default)]
pub struct Vlan {
    /// By port number; as long as the highest member needs.
    members: Vec<Option<Member>>,
    /// Forwarding members, in the order of their numbers, and whether they are tagged.
    flood: Vec<(u16, bool)>,
}

impl Vlan {
    pub fn member(&self, port: u16) -> Option<Member> {
        self.members.get(usize::from(port)).copied().flatten()
    }

    pub fn flood(&self) -> &[(u16, bool)] {
        &self.flood
    }

    pub fn set(&mut self, port: u16, member: Member) {
        let index = usize::from(port);
        if self.members.len() <= index {
            self.members.resize(index + 1, None);
        }
        self.members[index] = Some(member);
        let place = self.flood.binary_search_by_key(&port, |&(number, _)| number);
        match (place, member.forwarding) {
            (Ok(at), true) => self.flood[at].1 = member.tagged,
            (Ok(at), false) => drop(self.flood.remove(at)),
            (Err(at), true) => self.flood.insert(at, (port, member.tagged)),
            (Err(_), false) => {}
        }
    }

    /// Was it one?
    pub fn clear(&mut self, port: u16) -> bool {
        let was = self.members.get_mut(usize::from(port)).and_then(Option::take).is_some();
        self.flood.retain(|&(number, _)| number != port);
        while self.members.last() == Some(&None) {
            self.members.pop();
        }
        was
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: Member = Member { tagged: true, learning: true, forwarding: true };

    #[test]
    fn the_flood_list_follows_the_members() {
        let mut vlan = Vlan::default();
        for port in [7, 3, 9] {
            vlan.set(port, ON);
        }
        assert_eq!(vlan.flood(), [(3, true), (7, true), (9, true)]);
        vlan.set(7, Member { forwarding: false, ..ON });
        vlan.set(3, Member { tagged: false, ..ON });
        assert_eq!(vlan.flood(), [(3, false), (9, true)]);
        assert!(vlan.member(7).is_some_and(|member| !member.forwarding));
        assert!(vlan.clear(9) && !vlan.clear(9) && !vlan.clear(1000));
        assert_eq!(vlan.flood(), [(3, false)]);
        assert_eq!(vlan.member(9), None);
        assert_eq!(vlan.members.len(), 8);
    }
}
