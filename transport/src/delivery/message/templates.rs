//! All templates at one moment: the embedded one, and what the operator's folder puts over it.
//!
//! ```text
//!   DIR/PROJECT/TEMPLATE.txt  ◀ DIR/default/TEMPLATE.txt ◀ DIR/PROJECT/default.txt ◀ DIR/default/default.txt ◀ embedded
//! ```
//!
//! The same for `.html`; `.toml` files hold texts and lie over one another phrase by phrase. Read whole or
//! not at all, published with the policy. A request names a template only with a secret key; a slot keeps its
//! number, so numbers stay what they are for as long as the process lives.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use authepy_engine::request::MailForm;

use super::fault::TemplateFault;
use super::folder::{Folder, Named};
use super::locale::Locale;
use super::template::{Parts, Template};
use crate::config::{Config, ConfigFault};

/// The project whose templates are for all, and the template that is used if none is named.
const DEFAULT: &str = "default";
/// Templates of all projects together: each is tried in every language when it is loaded, 1 ms.
const TEMPLATES: usize = 512;

/// The embedded template, made once.
static EMBEDDED: LazyLock<Result<Arc<Template>, TemplateFault>> =
    LazyLock::new(|| Template::embedded().map(Arc::new));

/// Templates by their numbers.
type Set = Vec<Option<Arc<Template>>>;

/// Immutable; a change is a new one.
#[derive(Debug)]
pub struct Templates {
    embedded: Arc<Template>,
    /// A name's place is its number; zero is [`DEFAULT`].
    names: Vec<Box<str>>,
    /// For projects without a folder.
    shared: Set,
    projects: HashMap<Box<str>, Set>,
}

/// How one mail is worded.
#[derive(Clone, Debug)]
pub struct Wording {
    pub(super) template: Arc<Template>,
    pub(super) locale: Option<Locale>,
}

impl Templates {
    /// Those of the folder, if there is one. `before`: what was in use, whose numbers live slots may hold.
    pub fn load(dir: Option<&Path>, before: Option<&Self>) -> Result<Self, TemplateFault> {
        let folder = dir.map(Folder::read).transpose()?.unwrap_or_default();
        let mut names: Vec<Box<str>> = before.map_or_else(|| vec![DEFAULT.into()], |old| old.names.clone());
        let found: BTreeSet<&str> =
            folder.projects.values().flat_map(Named::keys).map(|name| &**name).collect();
        for name in found {
            if !names.iter().any(|known| **known == *name) {
                names.push(name.into());
            }
        }
        if names.len() > usize::from(u8::MAX) {
            return Err(TemplateFault::new("", "too many names of templates since the start"));
        }
        let nothing = Named::new();
        let common = folder.projects.get(DEFAULT).unwrap_or(&nothing);
        if folder.projects.len().saturating_mul(names.len()) > TEMPLATES {
            return Err(TemplateFault::new("", format!("over {TEMPLATES} templates")));
        }
        let embedded = EMBEDDED.clone()?;
        let shared = set(&embedded, &names, &nothing, common).map_err(|fault| fault.within(DEFAULT))?;
        let mut projects = HashMap::new();
        for (project, own) in &folder.projects {
            let set = set(&embedded, &names, own, common).map_err(|fault| fault.within(project))?;
            projects.insert(project.as_str().into(), set);
        }
        Ok(Self { embedded, names, shared, projects })
    }

    /// [`Templates::load`] of what the settings say.
    pub fn configured(config: &Config, before: Option<&Self>) -> Result<Self, ConfigFault> {
        Self::load(config.templates.dir.get().map(Path::new), before)
            .map_err(|fault| ConfigFault(format!("templates.dir: {fault}")))
    }

    /// The number of a template that `project` has.
    pub fn number(&self, project: &str, name: &str) -> Option<u8> {
        let number = self.names.iter().position(|known| **known == *name)?;
        (number == 0 || self.set(project).get(number)?.is_some()).then(|| u8::try_from(number).ok())?
    }

    /// What a slot's numbers mean. A template that has gone since is the project's default one.
    pub fn wording(&self, project: &str, form: MailForm) -> Wording {
        let set = self.set(project);
        let numbered = |number: u8| set.get(usize::from(number)).cloned().flatten();
        let template = numbered(form.template).or_else(|| numbered(0));
        let template = template.unwrap_or_else(|| self.embedded.clone());
        Wording { template, locale: Locale::numbered(form.locale) }
    }

    fn set(&self, project: &str) -> &Set {
        self.projects.get(project).unwrap_or(&self.shared)
    }
}

/// The templates of a project with `own` files, where `common` ones are everybody's.
fn set(
    embedded: &Arc<Template>,
    names: &[Box<str>],
    own: &Named,
    common: &Named,
) -> Result<Set, TemplateFault> {
    names
        .iter()
        .map(|name| {
            let is_there = own.contains_key(&**name) || common.contains_key(&**name);
            let layers = [own.get(&**name), common.get(&**name), own.get(DEFAULT), common.get(DEFAULT)];
            let layers: Vec<&Parts> = layers.into_iter().flatten().collect();
            let made = || Template::over(embedded, &layers).map_err(|fault| fault.within(name));
            is_there.then(made).transpose().map(|made| made.map(Arc::new))
        })
        .collect()
}
