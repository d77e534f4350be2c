//! The report's tables.
use std::fmt::Write;

use super::{count, escape, plots};
use crate::report::Report;
use crate::scenario::Role;
use crate::tally::{Part, Step};

/// A table's first column is text.
fn table(out: &mut String, title: &str, columns: &[&str], rows: &[Vec<String>]) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    write!(out, "<section><h2>{title}</h2><table><thead><tr>")?;
    columns.iter().try_for_each(|column| write!(out, "<th>{column}"))?;
    write!(out, "<tbody>")?;
    for row in rows {
        write!(out, "<tr>")?;
        row.iter().try_for_each(|cell| write!(out, "<td>{cell}"))?;
    }
    write!(out, "</table></section>")
}

pub(super) fn roles(out: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let row = |(role, part): (&Role, &Part)| {
        let knobs = report.profile.knobs(*role);
        let success = match role.is_honest() {
            true => format!("{:.2} %", 100.0 * part.success()),
            false => "–".to_owned(),
        };
        let mut row = vec![role.name().to_owned(), format!("{}/s", knobs.rate), count(knobs.peers as u64)];
        row.extend([part.started, part.completed, part.not_started].map(count));
        row.push(success);
        row.extend([part.right, part.refused_answers(), part.wrong_answers].map(count));
        row
    };
    let columns = [
        "Who",
        "Rate",
        "Peers",
        "Stories",
        "Completed",
        "Not started",
        "Served",
        "Right",
        "Refused",
        "Wrong",
    ];
    table(out, "Who did what", &columns, &report.tally.parts.iter().map(row).collect::<Vec<_>>())
}

pub(super) fn waits(out: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let mut rows = Vec::new();
    for (role, part) in &report.tally.parts {
        for (step, all) in Step::ALL.iter().filter_map(|step| Some((step, part.histogram(*step)?))) {
            let mut row = vec![format!("{} · {}", role.name(), step.name()), count(all.len())];
            row.extend([0.5, 0.9, 0.99, 0.999].map(|quantile| plots::time(all.value_at_quantile(quantile))));
            row.push(plots::time(all.max()));
            rows.push(row);
        }
    }
    let columns = ["Right answers", "Count", "p50", "p90", "p99", "p99.9", "Max"];
    table(out, "How long it took", &columns, &rows)?;
    write!(
        out,
        "<p class=note>Issue and sign-up count from the intended start, however late the caller was; the others \
         from the step before. <i>Own lag</i> is how late the harness itself was: latencies below it say \
         nothing.</p>"
    )
}

pub(super) fn refusals(out: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let all = report.tally.parts.iter();
    let all =
        all.flat_map(|(role, part)| part.refused.iter().map(move |(label, count)| (role, label, *count)));
    let most = all.clone().map(|(_, _, count)| count).max().unwrap_or(1);
    let row = |(role, label, number): (&Role, &String, u64)| {
        let width = (100.0 * number as f64 / most as f64).max(0.5);
        let bar = format!("<div class=bar style='width:{width:.1}%'></div>");
        vec![format!("{} · {}", role.name(), escape(label)), count(number), bar]
    };
    table(
        out,
        "What was refused, and why",
        &["Asked, and refused with", "Count", ""],
        &all.map(row).collect::<Vec<_>>(),
    )
}

pub(super) fn wrong(out: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let mut rows = Vec::new();
    for (role, part) in &report.tally.parts {
        rows.extend(part.wrong.iter().map(|(kind, wrong)| {
            let what = format!("<span class=bad>{} · {}</span>", role.name(), escape(kind));
            vec![what, wrong.count.to_string(), escape(&wrong.request_id)]
        }));
    }
    let of_the_run = report.tally.wrong.iter();
    rows.extend(of_the_run.map(|(kind, count)| {
        vec![format!("<span class=bad>{}</span>", escape(kind)), count.to_string(), String::new()]
    }));
    table(out, "What was wrong", &["Asked, and found", "Count", "First request id"], &rows)
}

pub(super) fn agreed(out: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let row = |(name, ours, theirs): &(&'static str, u64, u64)| {
        let mark =
            if ours == theirs { "<span class=good>agree</span>" } else { "<span class=bad>differ</span>" };
        vec![escape(name), count(*ours), count(*theirs), mark.to_owned()]
    };
    let rows: Vec<_> = report.tally.agreed.iter().map(row).collect();
    table(out, "Counted at both ends", &["Ours, theirs", "Ours", "Theirs", ""], &rows)
}
