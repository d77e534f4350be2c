//! The names of routes in metrics and log lines.

/// The route of a request, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteLabel {
    Issue,
    Check,
    Resend,
    Cancel,
    Status,
    Batch,
    Introspect,
    Alerts,
    Jwks,
    Healthz,
    Readyz,
    Preflight,
    /// An unknown route, a method that the route does not have, or a head that could not be read.
    Unknown,
}

impl RouteLabel {
    pub(crate) const ALL: [(Self, &str); 13] = [
        (Self::Issue, "issue"),
        (Self::Check, "check"),
        (Self::Resend, "resend"),
        (Self::Cancel, "cancel"),
        (Self::Status, "status"),
        (Self::Batch, "batch"),
        (Self::Introspect, "introspect"),
        (Self::Alerts, "alerts"),
        (Self::Jwks, "jwks"),
        (Self::Healthz, "healthz"),
        (Self::Readyz, "readyz"),
        (Self::Preflight, "preflight"),
        (Self::Unknown, "unknown"),
    ];

    /// The name in metrics and log lines.
    pub(crate) const fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}
