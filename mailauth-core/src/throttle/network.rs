//! The network of a client's address, which identifies the source of guesses as well as an address can.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The network of one customer of a provider: an IPv4 address, or the upper half of an IPv6 address (`/64`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Network {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The upper 64 bits of an IPv6 address.
    V6(u64),
}

/// The networks of one site, used to count passwords that are tried for many accounts: an IPv4 address, or an IPv6
/// `/48`, whose 65,536 networks cost an attacker nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site(Network);

/// Addresses that begin with the same bits: `192.0.2.0/24`, `2001:db8::/32`, or a single address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NetworkRange {
    /// The first address, with IPv4 addresses mapped to `::ffff:0:0/96`.
    first: u128,
    bits: u32,
}

/// The source of a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// No address of a client's own: the address is missing, on the loopback, or in `[throttle] shared`.
    Shared,
    /// The client's own network.
    From(Network),
    /// An address in `[throttle] exempt`.
    Exempt,
}

/// Parses the address that a daemon reports for its client. An IPv4 address in an IPv6 form (mapped, or NAT64) becomes
/// the IPv4 address. Returns `None` for other texts, and for the unspecified address.
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.split_once('%').map_or(text, |(address, _scope)| address);
    let address = match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => plain(address),
    };
    (!address.is_unspecified()).then_some(address)
}

fn plain(address: Ipv6Addr) -> IpAddr {
    const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
    let translated = address.segments().starts_with(&NAT64);
    match address.to_ipv4_mapped() {
        Some(mapped) => mapped.into(),
        None if translated => Ipv4Addr::from(address.to_bits() as u32).into(),
        None => address.into(),
    }
}

impl Network {
    /// Returns the network of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Network::V4(address),
            IpAddr::V6(address) => Network::V6((address.to_bits() >> 64) as u64),
        }
    }

    /// Returns the site that contains it.
    pub fn site(self) -> Site {
        Site(match self {
            Network::V4(address) => Network::V4(address),
            Network::V6(upper) => Network::V6(upper & !0xffff),
        })
    }
}

fn upper(bits: u64) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(bits) << 64)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::V4(address) => address.fmt(f),
            Network::V6(bits) => write!(f, "{}/64", upper(*bits)),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Network::V4(address) => address.fmt(f),
            Network::V6(bits) => write!(f, "{}/48", upper(bits)),
        }
    }
}

/// A text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a network; write an address such as 192.0.2.1, or a network such as 2001:db8::/32")]
pub struct NetworkError;

/// Parses an address in the network, or the network as it is printed.
impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let of = text.strip_suffix("/64").or_else(|| text.strip_suffix("/48")).or_else(|| text.strip_suffix("/32"));
        let found = address(of.unwrap_or(text)).ok_or(NetworkError)?;
        let fits = match found {
            IpAddr::V4(_) => !text.ends_with("/64") && !text.ends_with("/48"),
            IpAddr::V6(_) => !text.ends_with("/32"),
        };
        if fits { Ok(Network::of(found)) } else { Err(NetworkError) }
    }
}

impl FromStr for NetworkRange {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) if bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit()) => {
                (first, Some(bits.parse::<u32>().map_err(|_| NetworkError)?))
            }
            Some(_) => return Err(NetworkError),
            None => (text, None),
        };
        let (first, most) = match first.parse::<IpAddr>().map_err(|_| NetworkError)? {
            IpAddr::V4(address) => (address.to_ipv6_mapped(), 32),
            IpAddr::V6(address) => (address, 128),
        };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(NetworkError);
        }
        let bits = bits + 128 - most;
        Ok(NetworkRange { first: first.to_bits() & mask(bits), bits })
    }
}

fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

impl NetworkRange {
    /// Returns true if the range contains the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        address.to_bits() & mask(self.bits) == self.first
    }
}

impl fmt::Display for NetworkRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = Ipv6Addr::from(self.first);
        match first.to_ipv4_mapped() {
            Some(first) if self.bits >= 96 => write!(f, "{first}/{}", self.bits - 96),
            _ => write!(f, "{first}/{}", self.bits),
        }
    }
}

impl fmt::Debug for NetworkRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> String {
        address(text).map_or_else(|| "none".to_owned(), |address| Network::of(address).to_string())
    }

    #[test]
    fn a_network_is_an_ipv4_address_or_half_an_ipv6_address() {
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::FFFF:c000:201"), "192.0.2.1");
        assert_eq!(network("64:ff9b::192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("fe80::1%eth0"), "fe80::/64");
        for none in ["", "garbage", "192.0.2", "192.0.2.1.2", "0.0.0.0", "::", "[::1]", "192.0.2.1:25", "%", "1%2"] {
            assert_eq!(network(none), "none", "{none}");
        }
    }

    #[test]
    fn a_site_is_one_ipv4_address_or_many_ipv6_networks() {
        let site = |text: &str| Network::of(address(text).unwrap()).site().to_string();
        assert_eq!(site("2001:db8:1:2::1"), "2001:db8:1::/48");
        assert_eq!(site("2001:db8:1:ffff::1"), "2001:db8:1::/48");
        assert_eq!(site("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn a_network_is_parsed_as_printed_or_from_an_address_in_it() {
        for text in ["192.0.2.1", "2001:db8:1:2::/64"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!("2001:db8::5".parse::<Network>().unwrap().to_string(), "2001:db8::/64");
        assert_eq!("192.0.2.1/32".parse::<Network>().unwrap().to_string(), "192.0.2.1");
        for text in ["anna@example.org", "192.0.2.1/64", "192.0.2.0/24", "2001:db8::/32", ""] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_contains_the_addresses_that_begin_with_its_bits() {
        let range = |text: &str| text.parse::<NetworkRange>().unwrap();
        let holds = |text: &str, client: &str| range(text).contains(address(client).unwrap());
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("192.0.2.7/24", "192.0.2.1"), "bits after the mask are ignored");
        assert!(holds("192.0.2.1", "::ffff:192.0.2.1") && !holds("192.0.2.1", "192.0.2.2"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::"));
        assert!(holds("0.0.0.0/0", "192.0.2.1") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert_eq!(
            (range("10.0.0.1/8").to_string(), range("::1").to_string()),
            ("10.0.0.0/8".into(), "::1/128".into())
        );
        for text in ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08x", "host", "", "10.0.0/8"] {
            assert!(text.parse::<NetworkRange>().is_err(), "{text}");
        }
    }
}
