//! What happened, as a table.

use std::fmt::Write as _;

use super::Story;

/// All of it.
pub fn text(story: &Story) -> String {
    let manifest = &story.followed.manifest;
    let moment = manifest.moment;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(text, "  {name:<26}{value}").expect("strings take everything");
    };
    let seconds = |took: std::time::Duration| format!("{:.1} s", took.as_secs_f64());
    let followed = &story.followed;
    line("backup", format!("{} records, {} bytes", manifest.records(), manifest.bytes()));
    line(
        "  rounds",
        format!("{}, the longest {}, all {}", followed.rounds, seconds(followed.longest), seconds(followed.copying)),
    );
    match &followed.ended_by {
        None => line("  catching up", seconds(followed.catching_up)),
        Some(why) => line("  ended by", why.clone()),
    }
    let how = if moment.quiet { "nothing was under way" } else { "by the brokers' clocks" };
    line("restored to", moment.at.map_or_else(|| "nothing".to_owned(), |at| format!("{at:.3} ({how})")));
    line("destroyed at", format!("{:.3}", story.destroyed_at));
    let lost_s = moment.at.map_or(0.0, |at| story.destroyed_at.duration_since(at).as_secs_f64());
    let lost = match moment.quiet {
        true => format!("{} of {} acknowledged orders", story.lost, story.acknowledged),
        false => format!("{} of {} acknowledged orders: the last {lost_s:.1} s", story.lost, story.acknowledged),
    };
    line("lost", lost);
    line("  copied, and left out", format!("{} records behind that moment", story.left_out));
    line("records brought back", format!("{}, compared one by one", story.records));
    line("restoring took", seconds(story.restoring));
    line("starting services took", seconds(story.serving));
    line("from nothing to serving", seconds(story.whole));
    text
}
