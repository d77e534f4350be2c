//! A key's whole origin list, sorted for look-up: O(labels · log rules).

use super::{Origin, OriginHost, OriginRule, RuleFault};

/// The origins a restricted key may be used from; none if empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginRules {
    hosts: Vec<Box<str>>,
    /// Bases of wildcards, without their `*.`.
    bases: Vec<Box<str>>,
    extensions: Vec<Box<str>>,
}

impl OriginRules {
    /// Reads a list.
    ///
    /// # Errors
    /// The index of the first text that is not a rule, and why.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, (usize, RuleFault)> {
        let read =
            |(index, text): (usize, &T)| OriginRule::parse(text.as_ref()).map_err(|fault| (index, fault));
        texts.iter().enumerate().map(read).collect()
    }

    /// The union of `lists`.
    #[must_use]
    pub fn union<'a>(lists: impl Iterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for list in lists {
            all.hosts.extend_from_slice(&list.hosts);
            all.bases.extend_from_slice(&list.bases);
            all.extensions.extend_from_slice(&list.extensions);
        }
        all.in_order()
    }

    /// Whether any rule allows `origin`; equivalent to asking each, but faster.
    #[must_use]
    pub fn allows(&self, origin: &Origin<'_>) -> bool {
        match origin.place() {
            OriginHost::Extension(id) => holds(&self.extensions, id),
            OriginHost::Host(host) => {
                holds(&self.hosts, host) || parents(host).any(|parent| holds(&self.bases, parent))
            }
        }
    }

    /// The domain by which the list allows `origin`: the host itself, or the base of its wildcard.
    /// Always a text of the list's owner, never of the sender of the origin.
    #[must_use]
    pub fn domain_of(&self, origin: &Origin<'_>) -> Option<&str> {
        let OriginHost::Host(host) = origin.place() else { return None };
        find(&self.hosts, host).or_else(|| parents(host).find_map(|parent| find(&self.bases, parent)))
    }

    fn in_order(mut self) -> Self {
        for texts in [&mut self.hosts, &mut self.bases, &mut self.extensions] {
            texts.sort_unstable();
            texts.dedup();
        }
        self
    }

    /// Whether there are no rules, so that no origin is allowed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.bases.is_empty() && self.extensions.is_empty()
    }
}

impl FromIterator<OriginRule> for OriginRules {
    fn from_iter<I: IntoIterator<Item = OriginRule>>(rules: I) -> Self {
        let mut list = Self::default();
        for rule in rules {
            match rule {
                OriginRule::Host(host) => list.hosts.push(host),
                OriginRule::Below(base) => list.bases.push(base),
                OriginRule::Extension(id) => list.extensions.push(id),
            }
        }
        list.in_order()
    }
}

fn holds(sorted: &[Box<str>], text: &str) -> bool {
    find(sorted, text).is_some()
}

fn find<'a>(sorted: &'a [Box<str>], text: &str) -> Option<&'a str> {
    let at = sorted.binary_search_by(|known| (**known).cmp(text)).ok()?;
    sorted.get(at).map(|found| &**found)
}

fn parents(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(host.split_once('.'), |(_, parent)| parent.split_once('.'))
        .map(|(_, parent)| parent)
}
