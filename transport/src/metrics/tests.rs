use std::time::Duration;

use authepy_engine::request::{Policy, Refusal};

use super::*;

#[test]
fn every_problem_has_a_counter_of_its_own() {
    let retry_after = Duration::ZERO;
    let refusals = [
        Refusal::VerificationNotFound,
        Refusal::RecipientMismatch,
        Refusal::NonceMismatch,
        Refusal::MalformedCode,
        Refusal::RateLimited { policy: Policy::Peer, retry_after },
        Refusal::Banned { retry_after },
        Refusal::Overloaded { retry_after },
        Refusal::DeliveryUnavailable { retry_after },
        Refusal::IdempotencyInProgress { retry_after },
        Refusal::IdempotencyKeyReused,
        Refusal::NotReady { retry_after },
    ];
    let own = [
        Problem::MalformedRequest(""),
        Problem::MalformedHttp,
        Problem::InvalidKey,
        Problem::OriginNotAllowed,
        Problem::KeyClassForbidden,
        Problem::SecretKeyInBrowser,
        Problem::NotFound,
        Problem::MethodNotAllowed(""),
        Problem::BodyTooLarge,
        Problem::UnsupportedMediaType,
        Problem::HeadersTooLarge,
        Problem::InvalidRecipient,
        Problem::DisposableDomain,
        Problem::RecipientRequired,
        Problem::TooEarly,
    ];
    let all = own.into_iter().chain(refusals.into_iter().map(Problem::from));
    let places: std::collections::BTreeSet<usize> = all.map(place).collect();
    assert_eq!(places.len(), REASONS.len());
}

#[test]
fn every_label_is_at_its_own_place() {
    assert!(RouteLabel::ALL.iter().enumerate().all(|(at, (route, _))| *route as usize == at));
    assert!(Outcome::ALL.iter().enumerate().all(|(at, (outcome, _))| *outcome as usize == at));
}

#[test]
fn a_test_key_leaves_the_live_counters_alone() {
    let lane = Arc::new(Counters::default());
    let before = render(std::slice::from_ref(&lane), &Beside::default());
    lane.count(RouteLabel::Issue, Mode::Test, &Reply::from(Problem::InvalidRecipient));
    lane.shard_message(Mode::Test);
    lane.publish(Census { test_slots: 3, ..Census::default() }, 0, 0);
    let after = render(&[lane], &Beside::default());
    let changed: Vec<&str> = after
        .lines()
        .zip(before.lines())
        .filter(|(after, before)| after != before)
        .map(|(line, _)| line)
        .collect();
    assert_eq!(
        changed,
        [
            "authepy_test_requests_total{route=\"issue\",outcome=\"refused\"} 1",
            "authepy_test_shard_messages_total 1",
            "authepy_test_slots 3",
        ]
    );
}

#[test]
fn a_refusal_counts_its_outcome_and_its_reason() {
    let lane = Arc::new(Counters::default());
    lane.count(RouteLabel::Check, Mode::Live, &Reply::from(Problem::MalformedCode));
    lane.count(RouteLabel::Check, Mode::Live, &Reply::not_ready());
    lane.count(RouteLabel::Check, Mode::Live, &Reply::empty());
    lane.aborted(RouteLabel::Check, Mode::Live);
    lane.publish(Census::default(), 0, 7);
    let text = render(&[lane, Arc::default()], &Beside::default());
    for line in [
        "authepy_requests_total{route=\"check\",outcome=\"ok\"} 1",
        "authepy_requests_total{route=\"check\",outcome=\"refused\"} 1",
        "authepy_requests_total{route=\"check\",outcome=\"failed\"} 1",
        "authepy_requests_total{route=\"check\",outcome=\"aborted\"} 1",
        "authepy_datagrams_shed_total 7",
        "authepy_refusals_total{reason=\"malformed_code\"} 1",
        "authepy_refusals_total{reason=\"not_ready\"} 1",
        "authepy_refusals_total{reason=\"not_found\"} 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
    }
}
