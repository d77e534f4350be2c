//! A snapshot of all templates: the built-in one, overlaid by the operator's folder.
//!
//! ```text
//!   DIR/PROJECT/TEMPLATE.txt  ◀ DIR/default/TEMPLATE.txt ◀ DIR/PROJECT/default.txt ◀ DIR/default/default.txt ◀ built-in
//! ```
//!
//! The same holds for `.html`. `.toml` files hold texts, which are overlaid phrase by phrase. The
//! folder is loaded as a whole or not at all, and published with the policy. Only a request with a
//! secret key can name a template. Slots store a template's number, so numbers never change while
//! the process runs.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use authepy_engine::request::MailForm;

use super::fault::TemplateFault;
use super::folder::{Folder, Named};
use super::locale::Locale;
use super::template::{Parts, Template};
use crate::config::{Config, ConfigFault};

/// Name of the folder for all projects, and of the template that is used if none is named.
const DEFAULT: &str = "default";
/// Templates of all projects together. Each is tested in every language when loaded, about 1 ms.
const TEMPLATES: usize = 512;

/// The built-in template, built once.
static EMBEDDED: LazyLock<Result<Arc<Template>, TemplateFault>> =
    LazyLock::new(|| Template::embedded().map(Arc::new));

/// Templates, indexed by number.
type Set = Vec<Option<Arc<Template>>>;

/// Immutable; a reload builds a new value.
#[derive(Debug)]
pub struct Templates {
    embedded: Arc<Template>,
    /// A name's index is its number; zero is [`DEFAULT`].
    names: Vec<Box<str>>,
    /// For projects without a folder.
    shared: Set,
    projects: HashMap<Box<str>, Set>,
}

/// Template and language of one mail.
#[derive(Clone, Debug)]
pub struct Wording {
    pub(super) template: Arc<Template>,
    pub(super) locale: Option<Locale>,
}

impl Templates {
    /// Loads the folder, if there is one. `before`: the templates in use so far, whose numbers live
    /// slots may hold.
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
            return Err(TemplateFault::new(
                "",
                "too many template names since the process started; restart it",
            ));
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

    /// [`Templates::load`] from the settings.
    pub fn configured(config: &Config, before: Option<&Self>) -> Result<Self, ConfigFault> {
        Self::load(config.templates.dir.get().map(Path::new), before)
            .map_err(|fault| ConfigFault(format!("templates.dir: {fault}")))
    }

    /// The number of a template that `project` has.
    pub fn number(&self, project: &str, name: &str) -> Option<u8> {
        let number = self.names.iter().position(|known| **known == *name)?;
        (number == 0 || self.set(project).get(number)?.is_some()).then(|| u8::try_from(number).ok())?
    }

    /// Resolves a slot's numbers. A template that was removed since is replaced by the project's
    /// default.
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

/// Builds the templates of a project from its `own` files and those `common` to all projects.
fn set(
    embedded: &Arc<Template>,
    names: &[Box<str>],
    own: &Named,
    common: &Named,
) -> Result<Set, TemplateFault> {
    names
        .iter()
        .map(|name| {
            let exists = own.contains_key(&**name) || common.contains_key(&**name);
            let layers = [own.get(&**name), common.get(&**name), own.get(DEFAULT), common.get(DEFAULT)];
            let layers: Vec<&Parts> = layers.into_iter().flatten().collect();
            let made = || Template::over(embedded, &layers).map_err(|fault| fault.within(name));
            exists.then(made).transpose().map(|made| made.map(Arc::new))
        })
        .collect()
}
