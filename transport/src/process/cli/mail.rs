//! `authepy mail`: previews of mails with sample values.

use std::path::{Path, PathBuf};
use std::time::Duration;

use authepy_engine::code::Code;
use authepy_engine::identity::Mode;
use authepy_engine::request::MailForm;
use authepy_engine::route::{IdDigest, StartKeys};
use clap::{Args, Subcommand};

use super::Failure;
use super::config::Source;
use super::print::say;
use crate::config::{Config, ConfigFault};
use crate::delivery::{Awaited, CodeMail, Content, Locale, MailJob, Preview, Templates};
use crate::ground::clock;
use crate::ground::entropy::OsEntropy;

/// Sender of samples if the config names no provider.
const FROM: &str = "Authepy <no-reply@authepy.example>";
const CODE: &str = "482913";
const LIFETIME: Duration = Duration::from_secs(300);

#[derive(Subcommand)]
pub(super) enum MailCommand {
    /// Show one mail with sample values: its subject and text, unless another part is selected
    Preview(PreviewArgs),
    /// Write the mail in every language: LOCALE.txt, LOCALE.html and LOCALE.eml
    Gallery {
        /// Output folder; created if missing
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        sample: Sample,
    },
}

#[derive(Args)]
pub(super) struct PreviewArgs {
    /// The recipient's language, such as pt-BR [default: the template's, else en]
    #[arg(long, value_name = "TAG")]
    locale: Option<String>,
    /// Only the text part.
    #[arg(long, group = "part")]
    text: bool,
    /// Only the HTML part.
    #[arg(long, group = "part")]
    html: bool,
    /// The whole message as it would be sent.
    #[arg(long, group = "part")]
    eml: bool,
    #[command(flatten)]
    sample: Sample,
}

/// Values of the sample.
#[derive(Args)]
pub(super) struct Sample {
    /// The project's name
    #[arg(long, value_name = "NAME", default_value = "Acme")]
    project: String,
    /// A template of the configured folder.
    #[arg(long, value_name = "NAME", default_value = "default")]
    template: String,
    /// As if requested by a page of this domain: adds the line for autofill on phones
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(command: MailCommand) -> Result<(), Failure> {
    match command {
        MailCommand::Preview(asked) => preview(&asked),
        MailCommand::Gallery { dir, sample } => gallery(&dir, &sample),
    }
}

fn preview(asked: &PreviewArgs) -> Result<(), Failure> {
    let locale = asked.locale.as_deref().and_then(Locale::lookup);
    let mail = asked.sample.studio()?.mail(locale)?;
    say(&match (asked.text, asked.html, asked.eml) {
        (true, ..) => mail.text.trim_end().to_owned(),
        (_, true, _) => mail.html.trim_end().to_owned(),
        (.., true) => String::from_utf8_lossy(&mail.eml).trim_end().to_owned(),
        _ => format!("{}\n\n{}", mail.subject.as_str(), mail.text.trim_end()),
    });
    Ok(())
}

fn gallery(dir: &Path, sample: &Sample) -> Result<(), Failure> {
    let studio = sample.studio()?;
    let unwritable = |_| Failure::Unavailable("--dir: the folder can't be written".into());
    std::fs::create_dir_all(dir).map_err(unwritable)?;
    for locale in Locale::all() {
        let mail = studio.mail(Some(locale))?;
        let parts = [("txt", mail.text.as_bytes()), ("html", mail.html.as_bytes()), ("eml", &mail.eml)];
        for (kind, bytes) in parts {
            std::fs::write(dir.join(format!("{}.{kind}", locale.tag())), bytes).map_err(unwritable)?;
        }
        say(locale.tag());
    }
    Ok(())
}

impl Sample {
    fn studio(&self) -> Result<Studio<'_>, Failure> {
        let config = Config::from_layers(self.source.layers()?)?;
        let templates = Templates::configured(&config, None)?;
        let template = templates.number(&self.project, &self.template).ok_or_else(|| {
            ConfigFault(format!("templates.dir: {} has no template {}", self.project, self.template))
        })?;
        let from = config.delivery.first().map_or(FROM, |provider| &provider.from).to_owned();
        let keys = StartKeys::draw(&mut OsEntropy::default());
        Ok(Studio { sample: self, templates, template, from, keys })
    }
}

/// Templates and settings that samples are made with.
struct Studio<'a> {
    sample: &'a Sample,
    templates: Templates,
    template: u8,
    from: String,
    keys: StartKeys,
}

impl Studio<'_> {
    fn mail(&self, locale: Option<Locale>) -> Result<Preview, Failure> {
        let unmakable = || Failure::Internal("the mail can't be built".into());
        let form = MailForm { locale: Locale::number(locale), template: self.template };
        let id = self.keys.fingerprint("sample", Mode::Live);
        let now = clock::now();
        let content = Content::Code(CodeMail {
            code: Code::read(CODE).ok_or_else(unmakable)?,
            project: self.sample.project.as_str().into(),
            wording: self.templates.wording(&self.sample.project, form),
            domain: self.sample.domain.as_deref().map(Into::into),
            lifetime: LIFETIME,
            awaited: Awaited { id: IdDigest::from_bytes(*id.as_bytes()), route: id.route(), send: 1 },
        });
        let job = MailJob { to: "ada@example.com".into(), content, expires: now.at.after(LIFETIME) };
        Preview::of(&job, &self.from, &self.keys, now.unix_ms).ok_or_else(unmakable)
    }
}
