//! The domain after the `@`, as lower-case A-labels. Also used for the lines of a catalog.

use crate::recipient::Wiped;
use crate::recipient::fault::RecipientFaultKind as Kind;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use zeroize::Zeroizing;

/// Longest domain in octets, without the root's dot (RFC 1035 section 2.3.4).
const MAX_DOMAIN: usize = 253;
/// Longest label in octets (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// The domain whose owner controls all names below it: one label below a public suffix
/// (<https://publicsuffix.org>, including its private section), for example `uni.ac.uk` for
/// `cs.uni.ac.uk`.
///
/// Only [`Recipient::unfamiliar_domain`](crate::recipient::Recipient::unfamiliar_domain) makes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RegistrableDomain<'a>(&'a str);

impl<'a> RegistrableDomain<'a> {
    /// From a domain in lower-case A-labels. A public suffix that receives mail itself is its own
    /// registrable domain.
    #[must_use]
    pub fn of(domain: &'a str) -> Self {
        Self(psl::domain_str(domain).unwrap_or(domain))
    }

    /// The name in lower-case A-labels. It is part of an address, so it must never be logged.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl std::fmt::Debug for RegistrableDomain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegistrableDomain(redacted)")
    }
}

/// Which domains mail can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm {
    /// The Internet: every special-use domain is refused.
    Public,
    /// `authepy dev`, and test keys anywhere: names reserved for tests and documentation are
    /// accepted too.
    Dev,
}

/// Top-level names that public DNS never delegates: IANA "Special-Use Domain Names",
/// <https://www.iana.org/assignments/special-use-domain-names>, and `internal`, which ICANN
/// reserved for private use in 2024.
const UNREACHABLE: &[&str] = &["alt", "arpa", "internal", "invalid", "local", "localhost", "onion"];
/// Reserved for tests and documentation by RFC 2606 and RFC 6761.
const RESERVED: &[&str] = &["test", "example"];
/// Second-level names of documentation, RFC 2606 section 3.
const EXAMPLES: &[&str] = &["com", "net", "org"];

/// The lower-case A-labels of `raw` if mail can be sent there in `realm`. Borrows if nothing
/// changes.
///
/// # Errors
/// The first rule that is broken.
pub(crate) fn normalise(raw: &str, realm: Realm) -> Result<Wiped<'_>, Kind> {
    let domain = host_name(raw)?;
    if is_special_use(&domain, realm) {
        return Err(Kind::SpecialUse);
    }
    Ok(domain)
}

/// The lower-case A-labels of `raw` if it has the form of a domain name with at least one dot.
///
/// # Errors
/// The first rule that is broken.
pub(crate) fn host_name(raw: &str) -> Result<Wiped<'_>, Kind> {
    match inspect(raw)? {
        Form::Lower => Ok(Wiped::Borrowed(raw)),
        Form::Mixed => Ok(Wiped::Owned(Zeroizing::new(raw.to_ascii_lowercase()))),
        Form::Idna => {
            let ascii = Wiped::from(
                Uts46::new()
                    .to_ascii(
                        raw.as_bytes(),
                        AsciiDenyList::STD3,
                        // `Check` would refuse real hosts such as `r3---sn.example`.
                        Hyphens::CheckFirstLast,
                        // Lengths are checked below, with an error of their own.
                        DnsLength::Ignore,
                    )
                    .map_err(|_| Kind::BadIdna)?,
            );
            // Mapping can turn other characters into dots and digits, so the rules apply again.
            inspect(&ascii).map(|_| ascii)
        }
    }
}

/// What is needed to normalise a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lower,
    Mixed,
    Idna,
}

/// Checks all labels in one pass.
fn inspect(raw: &str) -> Result<Form, Kind> {
    if raw.is_empty() {
        return Err(Kind::EmptyDomain);
    }
    let mut form = Form::Lower;
    let mut dots = 0_usize;
    let mut label_start = 0;
    for (index, octet) in raw.bytes().enumerate() {
        match octet {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => {}
            b'A'..=b'Z' => form = Form::Mixed,
            b'.' => {
                check_label(&raw.as_bytes()[label_start..index])?;
                label_start = index + 1;
                dots += 1;
            }
            128.. => return Ok(Form::Idna),
            _ => return Err(Kind::DomainCharacter),
        }
    }
    let top = &raw.as_bytes()[label_start..];
    if top.is_empty() {
        return Err(Kind::TrailingDot);
    }
    check_label(top)?;
    if raw.len() > MAX_DOMAIN {
        return Err(Kind::DomainTooLong);
    }
    if dots == 0 {
        return Err(Kind::NoDot);
    }
    if !(top.iter().all(u8::is_ascii_alphabetic) || is_a_label(top)) {
        return Err(Kind::NumericTopLevel);
    }
    if has_a_label(raw) { Ok(Form::Idna) } else { Ok(form) }
}

fn check_label(label: &[u8]) -> Result<(), Kind> {
    match label {
        [] => Err(Kind::EmptyLabel),
        [b'-', ..] | [.., b'-'] => Err(Kind::LabelHyphen),
        _ if label.len() > MAX_LABEL => Err(Kind::LabelTooLong),
        _ => Ok(()),
    }
}

fn is_a_label(label: &[u8]) -> bool {
    label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"))
}

/// A cheap check for `xn--`: it needs two hyphens in a row.
fn has_a_label(raw: &str) -> bool {
    let octets = raw.as_bytes();
    octets.windows(2).any(|pair| pair == b"--") && octets.split(|&octet| octet == b'.').any(is_a_label)
}

fn is_special_use(domain: &str, realm: Realm) -> bool {
    // Every domain here has a dot.
    let (below, top) = domain.rsplit_once('.').unwrap_or(("", domain));
    if UNREACHABLE.contains(&top) {
        return true;
    }
    let is_example = || {
        EXAMPLES.contains(&top)
            && below.strip_suffix("example").is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    realm == Realm::Public && (RESERVED.contains(&top) || is_example())
}

/// The name itself, then each of its parents that still has a dot.
pub(crate) fn with_parents(domain: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(domain), |name| name.split_once('.').map(|(_, parent)| parent))
        .take_while(|name| name.contains('.'))
}
