//! API keys of the world.

use std::sync::Arc;

use authepy_engine::entropy::Entropy as _;
use authepy_engine::identity::{Mode, Owner, ProjectId};
use authepy_engine::perimeter::KeyRecord;
use authepy_engine::perimeter::api_key::{ApiKey, KeyClass};
use authepy_engine::perimeter::life::KeyLife;
use authepy_engine::perimeter::origin::OriginRules;
use authepy_engine::testing::Seeded;

/// A key of the world, and when it was revoked on the clock that does not jump.
pub(crate) struct Key {
    pub(crate) text: ApiKey,
    pub(crate) record: KeyRecord,
    pub(crate) revoked: Option<u64>,
}

impl Key {
    pub(crate) fn owner(&self) -> Owner {
        Owner { project: self.record.project, mode: self.record.mode }
    }
}

/// Who keys belong to at the start: two projects, and one's test keys.
pub(crate) const OWNERS: [Owner; 4] = [
    Owner { project: ProjectId(0), mode: Mode::Live },
    Owner { project: ProjectId(0), mode: Mode::Live },
    Owner { project: ProjectId(0), mode: Mode::Test },
    Owner { project: ProjectId(1), mode: Mode::Live },
];

pub(crate) fn api_key(owner: Owner, number: usize, entropy: &mut Seeded) -> Key {
    let text = ApiKey::generate(KeyClass::Secret, owner.mode, |bytes| entropy.fill(bytes));
    let record = KeyRecord {
        id: format!("key_{number}").into(),
        digest: text.as_text().digest(),
        project: owner.project,
        project_name: "shop".into(),
        alert_to: Arc::default(),
        class: KeyClass::Secret,
        mode: owner.mode,
        native: false,
        origins: OriginRules::default(),
        life: KeyLife::begin(0, None),
    };
    Key { text, record, revoked: None }
}
