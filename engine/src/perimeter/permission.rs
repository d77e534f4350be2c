//! What each class of key may do. Total and without a catch-all arm: a new operation or field does
//! not compile until its permissions are decided.

use crate::perimeter::api_key::KeyClass;

/// The operation of a request, except those that need no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST /v1/verifications`
    Issue,
    /// `POST /v1/verifications/{id}/check`
    Check,
    /// `POST /v1/verifications/{id}/resend`
    Resend,
    /// `DELETE /v1/verifications/{id}`
    Cancel,
    /// `GET /v1/verifications/{id}`
    Status,
    /// `POST /v1/verifications:batch`
    Batch,
    /// `POST /v1/receipts/introspect`
    Introspect,
    /// `POST /v1/alerts`
    Alerts,
}

/// Members of an issue request that change how the service protects an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IssueField {
    /// `client.ip`: the peer to charge instead of the caller.
    ClientIp,
    /// `code_length`
    CodeLength,
    /// `lifetime`
    Lifetime,
    /// `template`
    Template,
}

/// Whether a key of `class` may use `route` (contract, section 3).
#[must_use]
pub const fn permits(class: KeyClass, route: Operation) -> bool {
    match (class, route) {
        (
            KeyClass::Secret,
            Operation::Issue
            | Operation::Check
            | Operation::Resend
            | Operation::Cancel
            | Operation::Status
            | Operation::Batch
            | Operation::Introspect
            | Operation::Alerts,
        )
        | (
            KeyClass::Restricted,
            Operation::Issue | Operation::Check | Operation::Resend | Operation::Cancel,
        ) => true,
        (
            KeyClass::Restricted,
            Operation::Status | Operation::Batch | Operation::Introspect | Operation::Alerts,
        ) => false,
    }
}

/// Whether a key of `class` may send `field` in an issue request (contract, section 3).
#[must_use]
pub const fn may_configure(class: KeyClass, field: IssueField) -> bool {
    match (class, field) {
        (
            KeyClass::Secret,
            IssueField::ClientIp | IssueField::CodeLength | IssueField::Lifetime | IssueField::Template,
        ) => true,
        (
            KeyClass::Restricted,
            IssueField::ClientIp | IssueField::CodeLength | IssueField::Lifetime | IssueField::Template,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyClass::{Restricted, Secret};

    #[test]
    fn every_class_and_route_answers_as_the_contract_says() {
        let table = [
            (Operation::Issue, true),
            (Operation::Check, true),
            (Operation::Resend, true),
            (Operation::Cancel, true),
            (Operation::Status, false),
            (Operation::Batch, false),
            (Operation::Introspect, false),
            (Operation::Alerts, false),
        ];
        for (route, restricted) in table {
            assert!(permits(Secret, route), "{route:?}");
            assert_eq!(permits(Restricted, route), restricted, "{route:?}");
        }
    }

    #[test]
    fn only_a_secret_key_configures_an_issue() {
        use IssueField::{ClientIp, CodeLength, Lifetime, Template};
        for field in [ClientIp, CodeLength, Lifetime, Template] {
            assert!(may_configure(Secret, field), "{field:?}");
            assert!(!may_configure(Restricted, field), "{field:?}");
        }
    }
}
