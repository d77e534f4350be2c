//! Other settings while codes are alive: they act from the next command on, and change no promise.

use std::time::Duration;

use authepy_engine::clock::{Moment, Now};
use authepy_engine::identity::{Mode, Owner, ProjectId};
use authepy_engine::limits::{Capacity, Limit};
use authepy_engine::recipient::disposable::{Catalog, DomainClass};
use authepy_engine::request::{Command, Issued, Outcome, Policy, Refusal, Slot};
use authepy_engine::route::StartKeys;
use authepy_engine::shard::{Settings, Shard};
use authepy_engine::testing::{Seeded, as_shipped, plain_issue, unproven};

const OWNER: Owner = Owner { project: ProjectId(1), mode: Mode::Live };

struct Story {
    shard: Shard,
    keys: StartKeys,
    entropy: Seeded,
    settings: Settings,
}

impl Story {
    fn with_room_for(verifications: usize) -> Self {
        let mut entropy = Seeded::new(7);
        let keys = StartKeys::draw(&mut entropy);
        let settings = Settings {
            recipient_issue: vec![Limit { count: 1, window: Duration::from_secs(600) }],
            capacity: Capacity { verifications, ..Capacity::UNBOUNDED },
            ..as_shipped()
        };
        Self { shard: Shard::new(keys.clone(), settings.clone()), keys, entropy, settings }
    }

    fn reconfigure(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.shard.configure(self.settings.clone());
    }

    fn ask(&mut self, second: u64, command: Command) -> Outcome {
        let now =
            Now { at: Moment::from_millis(second * 1_000), unix_ms: 1_795_000_000_000 + second * 1_000 };
        self.shard.handle(now, command, &mut self.entropy)
    }

    fn issue(&mut self, second: u64, address: &str) -> Outcome {
        let inbox = self.keys.fingerprint(address, OWNER.mode);
        let issue = plain_issue(&self.keys, inbox, OWNER, &mut self.entropy);
        self.ask(second, Command::Issue(unproven(issue)))
    }

    fn issued(&mut self, second: u64, address: &str) -> Issued {
        match self.issue(second, address) {
            Outcome::Issued(issued) => issued,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn other_settings_act_from_the_next_command_on() {
    let mut story = Story::with_room_for(10);
    assert_eq!(story.issued(0, "ada@example.com").code.length(), 6);
    let refused = Outcome::Refused(Refusal::RateLimited {
        policy: Policy::Recipient,
        retry_after: Duration::from_secs(599),
    });
    assert_eq!(format!("{:?}", story.issue(1, "ada@example.com")), format!("{refused:?}"));
    story.reconfigure(|settings| {
        settings.code_length = 8;
        settings.recipient_issue = vec![Limit { count: 2, window: Duration::from_secs(600) }];
    });
    assert_eq!(story.issued(2, "ada@example.com").code.length(), 8, "the first mail still counts as one");
    assert!(matches!(story.issue(3, "ada@example.com"), Outcome::Refused(_)));
    story.reconfigure(|settings| settings.recipient_issue.clear());
    story.issued(4, "ada@example.com");
}

#[test]
fn what_lives_keeps_the_terms_it_was_issued_under() {
    let mut story = Story::with_room_for(10);
    let id = story.issued(0, "ada@example.com").id;
    story.reconfigure(|settings| {
        settings.lifetime = Duration::from_secs(60);
        (settings.attempts, settings.sends, settings.code_length) = (1, 1, 10);
    });
    let slot = Slot::locate(&story.keys, id, OWNER);
    match story.ask(120, Command::Status(unproven(slot))) {
        Outcome::Status(standing, _) => {
            assert_eq!((standing.code_length, standing.attempts_remaining), (6, 5));
            assert_eq!(standing.expires, Moment::from_millis(300_000));
            assert_eq!(standing.sends_remaining, 0, "mails are budgeted by the settings of the moment");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_room_stays_what_it_was_at_the_start() {
    let mut story = Story::with_room_for(1);
    story.reconfigure(|settings| settings.capacity.verifications = 10);
    story.issued(0, "ada@example.com");
    assert!(matches!(story.issue(0, "bob@example.com"), Outcome::Refused(Refusal::Overloaded { .. })));
}

#[test]
fn other_entries_of_the_operators_leave_a_loaded_base_list_in_use() {
    let own = |domain: &str| vec![domain.to_owned()];
    let base = Catalog::with_lists(b"throwaway.example.org\n", &own("one.example.net"), &[]).unwrap().catalog;
    let next = base.replace_own(&own("two.example.net"), &own("throwaway.example.org")).unwrap();
    assert_eq!((next.version(), next.entries()), (base.version(), 1));
    assert_eq!(next.class("one.example.net"), DomainClass::Unlisted);
    assert_eq!(next.class("two.example.net"), DomainClass::Disposable);
    assert_eq!(next.class("throwaway.example.org"), DomainClass::Allowed);
    assert!(base.replace_own(&own("com"), &[]).is_err());
}

#[test]
fn windows_of_tenants_and_of_all_change_with_the_settings() {
    let mut story = Story::with_room_for(10);
    story.issued(0, "ada@example.com");
    story.reconfigure(|settings| {
        settings.recipient_issue = vec![Limit { count: 3, window: Duration::from_secs(600) }];
        settings.recipient_all_issue = vec![Limit { count: 2, window: Duration::from_secs(900) }];
    });
    story.issued(1, "ada@example.com");
    let of_all = Refusal::RateLimited { policy: Policy::Recipient, retry_after: Duration::from_secs(898) };
    assert!(matches!(story.issue(2, "ada@example.com"), Outcome::Refused(refusal) if refusal == of_all));
    // Codes end; what the inbox remembers, it does until the visit that was planned under the longer window.
    while story.shard.sweep(Moment::from_millis(400_000)) {}
    assert_eq!((story.shard.live(), story.shard.inboxes()), (0, 1));
    story.reconfigure(|settings| settings.recipient_all_issue.clear());
    while story.shard.sweep(Moment::from_millis(902_000)) {}
    assert_eq!(story.shard.inboxes(), 0);
}
