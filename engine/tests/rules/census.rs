//! What a shard says it holds: live and test keys' slots apart, and the bytes they count for.

use std::time::Duration;

use authepy_engine::clock::{Moment, Now};
use authepy_engine::identity::{Mode, Owner, ProjectId};
use authepy_engine::limits::{IDEMPOTENCY_RECORD_BYTES, INBOX_RECORD_BYTES, SPENT_RECEIPT_BYTES};
use authepy_engine::request::{Command, Outcome, Reserve, Slot, Spend};
use authepy_engine::route::{BodyDigest, ClaimDigest, ReceiptDigest, StartKeys};
use authepy_engine::shard::{Census, Settings, Shard};
use authepy_engine::testing::{Seeded, as_shipped, plain_issue, unproven};

#[test]
fn every_slot_is_counted_with_its_mode_until_it_is_purged_or_expires() {
    let mut entropy = Seeded::new(7);
    let keys = StartKeys::draw(&mut entropy);
    let settings = Settings { recipient_issue: Vec::new(), recipient_all_issue: Vec::new(), ..as_shipped() };
    let mut shard = Shard::new(keys.clone(), settings);
    let at = |seconds: u64| Moment::from_millis(1_000 * seconds);
    let now = Now { at: at(1), unix_ms: 1_795_000_000_000 };
    let mut issue = |shard: &mut Shard, mode, address: &str| {
        let owner = Owner { project: ProjectId(1), mode };
        let issue = plain_issue(&keys, keys.fingerprint(address, mode), owner, &mut entropy);
        match shard.handle(now, Command::Issue(unproven(issue)), &mut entropy) {
            Outcome::Issued(issued) => Slot::locate(&keys, issued.id, owner),
            other => panic!("{other:?}"),
        }
    };
    let slots: Vec<Slot> = [(Mode::Live, "a"), (Mode::Live, "a"), (Mode::Live, "b"), (Mode::Test, "a")]
        .map(|(mode, name)| issue(&mut shard, mode, name))
        .into();
    let full = shard.census();
    assert_eq!((full.live_slots, full.test_slots), (3, 1));
    assert_eq!(full.bytes, full.inbox_bytes, "nobody else is there yet");
    assert!(full.inbox_bytes > 0 && full.inbox_bytes <= 4 * INBOX_RECORD_BYTES, "{full:?}");

    let mut unused = Seeded::new(8);
    let lifetime = Duration::from_secs(60);
    let owner = Owner { project: ProjectId(1), mode: Mode::Live };
    shard.handle(
        now,
        Command::Reserve(unproven(Reserve {
            key: ClaimDigest::default(),
            body: BodyDigest::default(),
            owner,
            lifetime,
        })),
        &mut unused,
    );
    shard.handle(
        now,
        Command::Spend(unproven(Spend { receipt: ReceiptDigest::default(), owner, lifetime })),
        &mut unused,
    );
    for slot in [&slots[0], &slots[3]] {
        shard.handle(now, Command::Cancel(unproven(slot.clone())), &mut unused);
    }
    let others = IDEMPOTENCY_RECORD_BYTES + SPENT_RECEIPT_BYTES;
    let left = shard.census();
    assert_eq!((left.live_slots, left.test_slots), (2, 0));
    assert_eq!(left.bytes, left.inbox_bytes + others);
    assert!(left.inbox_bytes < full.inbox_bytes);
    while shard.sweep(at(1_000)) {}
    assert_eq!(shard.census(), Census::default());
}
