//! `boxctl republish`: valid events, copied to a topic of their own with CloudEvents headers.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use domain::root::Context;
use export::range::topic;
use export::republish::{Copied, Copying, Value, check_name, run as copy};

use super::site::Site;
use super::work;
use crate::stack;

/// What to copy, and where to. Where from: BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or the local stack, which is started.
#[derive(Debug, Args)]
pub struct RepublishArgs {
    /// A topic's name without the namespace, such as order-events; may be repeated [default: all].
    #[arg(long = "topic", value_parser = topic)]
    topics: Vec<Context>,
    /// The topic of the copies; it is made if it does not exist, with as many partitions as ours, and kept for ever.
    #[arg(long)]
    to: String,
    /// How the events are written.
    #[arg(long, value_enum, default_value_t = Written::Avro)]
    value: Written,
    /// How many brokers keep the topic, if it is made.
    #[arg(long, default_value_t = 1)]
    replication: i32,
    /// Go on with whatever comes, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// Say at the end as JSON what was copied.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Written {
    /// As they lie in the log: Confluent wire format, schema in the registry.
    Avro,
    /// As JSON objects.
    Json,
}

/// Copies. Run again, it goes on.
pub(super) async fn run(args: RepublishArgs) -> anyhow::Result<ExitCode> {
    check_name(&args.to)?;
    let site = Site::find().await?;
    let topics = if args.topics.is_empty() { Context::ALL.to_vec() } else { args.topics.clone() };
    let log = site.log(topics.len() * site.partitions as usize)?;
    let copying = Copying {
        topics,
        to: args.to.clone(),
        value: match args.value {
            Written::Avro => Value::Avro,
            Written::Json => Value::Json,
        },
        follow: args.follow,
        partitions: site.partitions,
        replication: args.replication,
        schemas: site.registry.address_of_ids(),
    };
    let (codec, settings) = (site.codec.clone(), site.settings.clone());
    let copied =
        work::until_stopped(true, move |stop, progress| copy(log, &codec, &settings, &copying, stop, progress));
    let copied = copied.await?;
    stack::print(&if args.json { serde_json::to_string(&copied)? + "\n" } else { text(&copied) })?;
    Ok(ExitCode::SUCCESS)
}

fn text(copied: &Copied) -> String {
    let Copied { to, created, copied, found, interrupted, seconds } = copied;
    let made = if *created { ", which was made" } else { "" };
    let had = if *found > 0 { format!(" ({found} more were there already)") } else { String::new() };
    let ended = if *interrupted { "; stopped early: run it again to go on" } else { "" };
    format!("{copied} events copied to {to}{made}{had} in {seconds:.1} s{ended}\n")
}
