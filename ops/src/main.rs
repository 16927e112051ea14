//! The operators' and analysts' command line.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use ops::audit::AuditArgs;
use ops::backup::BackupArgs;
use ops::backup::restore::RestoreArgs;
use ops::check::CheckArgs;
use ops::commands::CommandsArgs;
use ops::completion::CompletionArgs;
use ops::config::ConfigArgs;
use ops::dev::{DevArgs, UpArgs};
use ops::doctor::DoctorArgs;
use ops::failover::FailoverArgs;
use ops::faults::FaultsArgs;
use ops::init::InitArgs;
use ops::load::CompareArgs;
use ops::log::LogArgs;
use ops::partitions::PartitionsArgs;
use ops::simulate::SimulateArgs;
use ops::status::StatusArgs;
use ops::token::TokenArgs;
use ops::trace::TraceArgs;
use ops::{
    analysts, audit, backup, check, commands, completion, config, demo, dev, doctor, drill, failover, faults, init,
    load, log, money, partitions, person, projection, queue, registry, simulate, stack, status, token, topics, trace,
};

/// The generator of `boxctl load` takes no more of the machine than it must.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Operates a box office: its local servers, its topics, its tokens, and a whole local installation.
#[derive(Parser)]
#[command(name = "boxctl", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The local servers: Kafka, schema registry and Postgres.
    #[command(subcommand)]
    Stack(stack::Command),
    /// Make the topics and register the schemas; again changes nothing.
    Init(InitArgs),
    /// Mint a bearer token.
    Token(TokenArgs),
    /// Show every environment variable of every process.
    Config(ConfigArgs),
    /// Show the records of a partition with the verdict of every reader.
    Log(LogArgs),
    /// The whole box office on one page; ends with 1 if something needs a person, with 2 if it could not look.
    Status(StatusArgs),
    /// Find what is set wrong, and say what to do about it; ends with 1 if something is wrong.
    Doctor(DoctorArgs),
    /// Show every event of a purchase in the order in which one led to the other; ends with 1 if there is none.
    Trace(TraceArgs),
    /// Show who owns every partition and how it stands; ends with 1 if one is broken or nobody answers for it.
    Partitions(PartitionsArgs),
    /// Topics, and whether they are as they must be.
    #[command(subcommand)]
    Topics(topics::Command),
    /// The schema registry, and the way back when it was lost.
    #[command(subcommand)]
    Schemas(registry::Command),
    #[command(flatten)]
    Analysts(analysts::Command),
    /// List what operators did: every command that skips, drops, switches, forgets or restores is recorded.
    Audit(AuditArgs),
    /// Keys of which events wait behind one that the read models cannot fold.
    #[command(subcommand)]
    Parked(ops::parked::Command),
    /// Copy the log, its schemas and its keys into a folder; again brings it up to date.
    Backup(BackupArgs),
    /// Bring a log back from a backup, to where there is none: every record at its offset, the registry with its ids.
    Restore(RestoreArgs),
    /// Read models: their generations, rebuilding, verifying, going back, pausing.
    #[command(subcommand)]
    Projection(projection::Command),
    /// Waiting rooms, for whoever doubts one.
    #[command(subcommand)]
    Queue(queue::Command),
    /// What is known of whom, and forgetting a person.
    #[command(subcommand)]
    Person(person::Command),
    /// Refunds that people have to do.
    #[command(subcommand)]
    Refund(money::RefundCommand),
    /// Hold a provider's statement against the ledger, and list each difference.
    Reconcile(money::ReconcileArgs),
    /// Recompute the laws of a box office that runs, from its log, Postgres and its clients' history. Ends with 0 if all
    /// hold, 1 if one does not, 2 if it could not look.
    Check(CheckArgs),
    /// Attack a box office of its own while people buy, and check that nothing acknowledged is lost; --list shows how.
    Faults(FaultsArgs),
    /// Kill the owner of a partition with a long history, again and again, and measure until it is served.
    Failover(FailoverArgs),
    /// Rehearse what must not go wrong, on a box office of its own.
    #[command(subcommand)]
    Drill(drill::Command),
    /// Send a box office of its own more and more, and measure; ends with 1 if it oversold, lost something or broke a law.
    Load(load::Cli),
    /// Send ours and other designs the same load in turn, and print the ratios.
    Compare(CompareArgs),
    /// What `load` starts: reads its plan from standard input.
    #[command(hide = true)]
    LoadWorker,
    /// Play histories of a whole box office in memory, with everything going wrong; ends with 1 if one law breaks.
    Simulate(SimulateArgs),
    /// Bring everything up on one port, until Ctrl-C.
    Dev(DevArgs),
    /// Bring everything up, sell out a show, and check what came of it.
    Demo(DemoArgs),
    /// Print what makes a shell complete our commands.
    Completion(CompletionArgs),
    /// List every command, and what it ends with.
    Commands(CommandsArgs),
}

#[derive(Args)]
struct DemoArgs {
    #[command(flatten)]
    up: UpArgs,
    #[command(flatten)]
    demo: demo::Args,
}

fn main() -> ExitCode {
    // The first thing: every TLS client needs it. It fails only if it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let matches = commands::with_groups(Cli::command()).get_matches();
    let path = commands::path(&matches);
    let command = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command;
    let ran = match command {
        // It has a runtime of its own, which costs less.
        Command::LoadWorker => ::load::worker::main().map(|()| ExitCode::SUCCESS),
        command => run(command),
    };
    match ran {
        Ok(code) => code,
        Err(error) => {
            eprintln!("boxctl: {error:#}");
            ExitCode::from(commands::on_error(&path))
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Stack(command) => return stack::run(command).await,
        Command::Init(args) => init::run(args).await?,
        Command::Token(args) => token::run(&args)?,
        Command::Config(args) => config::run(&args)?,
        Command::Log(args) => log::run(&args).await?,
        Command::Status(args) => return status::run(args).await,
        Command::Doctor(args) => return doctor::run(args).await,
        Command::Trace(args) => return trace::run(args).await,
        Command::Partitions(args) => return partitions::run(&args).await,
        Command::Topics(command) => return topics::run(command).await,
        Command::Schemas(command) => return registry::run(command).await,
        Command::Analysts(command) => return Ok(analysts::run(command).await),
        Command::Audit(args) => audit::run(&args).await?,
        Command::Parked(command) => return Ok(ops::parked::run(command).await),
        Command::Backup(args) => return backup::run(args).await,
        Command::Restore(args) => return backup::restore::run(args).await,
        Command::Projection(command) => return Ok(projection::run(command).await),
        Command::Queue(command) => return queue::run(command).await,
        Command::Person(command) => return Ok(person::run(command).await),
        Command::Refund(command) => return money::refunds(command).await,
        Command::Reconcile(args) => return money::reconcile(args).await,
        Command::Check(args) => return Ok(check::run(args).await),
        Command::Faults(args) => faults::run(&args)?,
        Command::Failover(args) => failover::run(args).await?,
        Command::Drill(command) => return drill::run(command).await,
        Command::Load(args) => return load::run_cli(args).await,
        Command::Compare(args) => return load::compare::run(args).await,
        Command::LoadWorker => {}
        Command::Simulate(args) => return simulate::run(&args),
        Command::Dev(args) => dev::run(args).await?,
        Command::Demo(DemoArgs { up, demo }) => {
            dev::demo(up.apart("demo", &demo::SETTINGS, demo::COUNTS), demo.exit, |running| demo::run(demo, running))
                .await?;
        }
        Command::Completion(args) => completion::run(&args, Cli::command())?,
        Command::Commands(args) => commands::run(&args, &Cli::command())?,
    }
    Ok(ExitCode::SUCCESS)
}
