//! The report for people: one HTML file that needs no other, with its charts drawn in SVG and no script.
use std::fmt::Write;

use clap::ValueEnum;

use crate::report::Report;
use crate::tally::{Part, Step};

mod chart;
mod plots;
mod tables;

/// Honest steps that a person waits for, in the order of a sign-up.
const FELT: [Step; 4] = [Step::Connect, Step::Issue, Step::RightCode, Step::SignUp];

/// The whole page.
pub(crate) fn page(report: &Report<'_>) -> String {
    let scenario = report.profile.scenario;
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>Authepy load test: {}</title><style>{}</style><main>",
        scenario.name(),
        include_str!("html/style.css")
    );
    // Writing to a String can't fail.
    let _ = body(&mut out, report);
    out.push_str("</main></html>\n");
    out
}

fn body(out: &mut String, report: &Report<'_>) -> std::fmt::Result {
    head(out, report)?;
    tiles(out, report)?;
    tables::wrong(out, report)?;
    out.push_str("<section class=charts>");
    for plot in [plots::latency, plots::percentiles, plots::outcomes, plots::throughput] {
        out.push_str(&plot(report));
    }
    out.push_str("</section>");
    tables::roles(out, report)?;
    tables::waits(out, report)?;
    tables::refusals(out, report)?;
    tables::agreed(out, report)?;
    let profile = escape(&report.profile.print());
    write!(out, "<details><summary>Profile: save it, and <code>run --profile FILE</code> is this run again")?;
    write!(out, "</summary><pre>{profile}</pre></details>")
}

fn head(out: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let profile = report.profile;
    let possible = profile.scenario.to_possible_value();
    let about = possible.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default();
    let faults = report.faults();
    let verdict = match faults.is_empty() {
        true => "<p class='verdict held'>Held: every answer was right</p>".to_owned(),
        false => format!("<p class='verdict failed'>Failed: {}</p>", escape(&faults.join("; "))),
    };
    write!(
        out,
        "<header><div><p class=kicker>Authepy load test</p><h1>{}</h1><p class=about>{}</p></div>{verdict}\
         </header>",
        profile.scenario.name(),
        escape(&about)
    )
}

/// What most people look at, and nothing else.
fn tiles(out: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let parts = &report.tally.parts;
    let honest = || parts.iter().filter(|(role, _)| role.is_honest()).map(|(_, part)| part);
    let sum = |count: fn(&Part) -> u64| parts.values().map(count).sum::<u64>();
    let ended: u64 = honest().map(|part| part.completed).sum();
    let begun: u64 = honest().map(|part| part.started + part.not_started).sum();
    let mut tile = |name: &str, value: String, note: String, class: &str| {
        write!(out, "<div class='tile {class}'><span>{name}</span><b>{value}</b><small>{note}</small></div>")
    };
    let success = 100.0 * ended as f64 / begun.max(1) as f64;
    let wait = |step| {
        let all = honest().filter_map(|part| part.histogram(step));
        let worst = |quantile| all.clone().map(|all| all.value_at_quantile(quantile)).max().unwrap_or(0);
        (plots::time(worst(0.5)), plots::time(worst(0.99)))
    };
    let ((issue, issue_99), (sign_up, sign_up_99)) = (wait(Step::Issue), wait(Step::SignUp));
    let (right, refused) = (sum(|part| part.right), sum(Part::refused_answers));
    let wrong = report.tally.wrong_answers();
    tile(
        "Honest stories served",
        format!("{success:.2} %"),
        format!("{} of {}", count(ended), count(begun)),
        "",
    )?;
    tile("Issue, median", issue, format!("p99 {issue_99}"), "")?;
    tile("Sign-up with its mail, median", sign_up, format!("p99 {sign_up_99}"), "")?;
    tile("The harness itself late, p99", wait(Step::Lag).1, "part of the waits beside".into(), "")?;
    let note = format!("{} refused, as they must be", count(refused));
    tile("Answers judged", count(right + refused + wrong), note, "")?;
    tile("Wrong answers", count(wrong), "must be none".into(), if wrong > 0 { "bad" } else { "good" })
}

/// With a comma every three digits.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Verdict;
    use crate::scenario::{Role, Scenario};
    use crate::tally::Tally;

    #[test]
    fn counts_are_grouped_and_text_is_no_markup() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(escape("<b a='1'>&"), "&lt;b a=&#39;1&#39;&gt;&amp;");
    }

    #[test]
    fn a_run_in_which_nothing_was_answered_has_a_page_too() {
        let (profile, mut tally) = (Scenario::Bombing.profile(), Tally::default());
        assert!(page(&Report::new(&profile, &tally)).contains("Failed: no answer at all"));
        tally.part(Role::Bombers).count(Step::Issue, &Verdict::Wrong(vec!["<status>".into()]), "req_9");
        let page = page(&Report::new(&profile, &tally));
        assert!(page.contains("issue: &lt;status&gt;") && page.contains("req_9"), "{page}");
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }
}
