use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::super::percent::excerpt;

/// The longest name, and the longest part of a name between dots, that the domain name system has.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The host of a URL: a name, or an address.
///
/// A name is in lower case and of letters, digits, `-` and `_`, with dots between: one of other letters is written in its ASCII form
/// (`xn--…`). Prints as it stands in a URL, an IPv6 address in brackets; parses from that, and from an IPv6 address without brackets.
///
/// ```
/// use std::net::Ipv4Addr;
/// use libprocess::http::Host;
///
/// let host: Host = "WWW.example.com".parse()?;
/// assert_eq!((host.name(), host.ip()), (Some("www.example.com"), None));
///
/// let host: Host = "127.0.0.1".parse()?;
/// assert_eq!(host, Host::from(Ipv4Addr::LOCALHOST));
/// # Ok::<(), libprocess::http::HostError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Host(Kind);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// Valid, in lower case.
    Name(String),
    Ip(IpAddr),
}

/// A text is no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// It is empty.
    #[error("there is no host: write its name or its address after ://")]
    Missing,
    /// It begins with a bracket, but is no IPv6 address in brackets.
    #[error("`{host}` is no IPv6 address in brackets")]
    Ipv6 {
        /// The host; its beginning, if it is long.
        host: String,
    },
    /// It has a character that no name has.
    #[error(
        "{character:?} cannot stand in the host `{host}`: a name has letters, digits, `-`, `_` and dots, and others in the form xn--…"
    )]
    Character {
        /// The first such character.
        character: char,
        /// The host; its beginning, if it is long.
        host: String,
    },
    /// There is nothing between two dots, or more than 63 characters, or more than 253 in all.
    #[error("`{host}` is no name: up to 63 characters between dots, one at least, and 253 in all")]
    Length {
        /// The host; its beginning, if it is long.
        host: String,
    },
    /// It ends in a number, but is no IPv4 address.
    #[error(
        "`{host}` ends in a number, but is no IPv4 address: write four numbers up to 255, without leading zeros"
    )]
    Ipv4 {
        /// The host; its beginning, if it is long.
        host: String,
    },
}

impl Host {
    /// The name, if it is one; in lower case.
    ///
    /// ```
    /// assert_eq!("localhost".parse::<libprocess::http::Host>()?.name(), Some("localhost"));
    /// # Ok::<(), libprocess::http::HostError>(())
    /// ```
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Name(name) => Some(name),
            Kind::Ip(_) => None,
        }
    }

    /// The address, if it is one.
    ///
    /// ```
    /// assert!("[::1]".parse::<libprocess::http::Host>()?.ip().unwrap().is_loopback());
    /// # Ok::<(), libprocess::http::HostError>(())
    /// ```
    pub fn ip(&self) -> Option<IpAddr> {
        match &self.0 {
            Kind::Name(_) => None,
            Kind::Ip(ip) => Some(*ip),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self(Kind::Ip(ip))
    }
}

impl From<Ipv4Addr> for Host {
    fn from(ip: Ipv4Addr) -> Self {
        IpAddr::from(ip).into()
    }
}

impl From<Ipv6Addr> for Host {
    fn from(ip: Ipv6Addr) -> Self {
        IpAddr::from(ip).into()
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Missing);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(ip.into());
        }
        let host = || excerpt(text);
        if let Some(bracketed) = text.strip_prefix('[') {
            let ip = bracketed.strip_suffix(']').map(str::parse::<Ipv6Addr>);
            return match ip {
                Some(Ok(ip)) => Ok(ip.into()),
                _ => Err(HostError::Ipv6 { host: host() }),
            };
        }
        let belongs = |next: char| next.is_ascii_alphanumeric() || "-_.".contains(next);
        if let Some(character) = text.chars().find(|next| !belongs(*next)) {
            let host = host();
            return Err(HostError::Character { character, host });
        }
        // A dot at the end says that the name is complete.
        let labels = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| (1..=LONGEST_LABEL).contains(&label.len());
        if labels.len() > LONGEST_NAME || !labels.split('.').all(is_label) {
            return Err(HostError::Length { host: host() });
        }
        if labels.rsplit('.').next().is_some_and(is_number) {
            return Err(HostError::Ipv4 { host: host() });
        }
        Ok(Self(Kind::Name(text.to_ascii_lowercase())))
    }
}

/// Whether resolvers take this for a number, and what it ends for an address.
fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        None => label.bytes().all(|digit| digit.is_ascii_digit()),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Name(name) => f.write_str(name),
            Kind::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Kind::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({self})")
    }
}
