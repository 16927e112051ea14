//! `boxctl config`: every environment variable of every process, as each process itself declares it.

use clap::Args;
use service_kit::config::{Env, Format, Noted, Unset, Variable};
use service_kit::env;

use crate::stack;
use crate::topology::Process;

/// How to show it.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Only this process.
    #[arg(long, value_enum)]
    process: Option<Process>,
    /// Only what has to be set.
    #[arg(long)]
    required: bool,
    /// As JSON, one variable a line.
    #[arg(long)]
    json: bool,
}

/// Prints the tables.
///
/// # Errors
/// Nobody reads them.
pub fn run(args: &ConfigArgs) -> anyhow::Result<()> {
    let wanted = |(process, _): &(Option<Process>, Vec<Variable>)| args.process.is_none() || *process == args.process;
    let shown = |it: &Variable| !args.required || it.unset == Unset::Refused;
    let table = |(process, variables): (Option<Process>, Vec<Variable>)| {
        let variables: Vec<Variable> = variables.into_iter().filter(shown).collect();
        format!("## {}\n\n{}\n", process.map_or("boxctl", Process::binary), env::table(&variables))
    };
    if args.json {
        let lines = |(process, variables): (Option<Process>, Vec<Variable>)| {
            variables.into_iter().filter(shown).map(move |it| line(process, &it)).collect::<String>()
        };
        return stack::print(&sections().into_iter().filter(wanted).map(lines).collect::<String>());
    }
    stack::print(&sections().into_iter().filter(wanted).map(table).collect::<String>())
}

fn line(process: Option<Process>, it: &Variable) -> String {
    let default = match it.unset {
        Unset::Default(default) => Some(default),
        Unset::Refused | Unset::Nothing => None,
    };
    let told = serde_json::json!({
        "process": process.map_or("boxctl", Process::binary), "name": it.name, "required": it.unset == Unset::Refused,
        "default": default, "what": it.doc, "expected": it.expected,
    });
    told.to_string() + "\n"
}

/// The variables of every process; without a process, those of boxctl itself.
pub fn sections() -> Vec<(Option<Process>, Vec<Variable>)> {
    let services = [Process::CommandApi, Process::Projectors, Process::QueryApi];
    let services = services.into_iter().map(|process| (Some(process), process.variables()));
    services.chain([(None, Tool::variables())]).collect()
}

/// What boxctl itself is told.
#[derive(Debug)]
pub struct Tool {
    /// Where the services' programs are, if they are not beside boxctl.
    pub programs: Option<String>,
    /// Where services are reached that do not announce themselves.
    pub services: Vec<String>,
    /// Who works with it, for the record of operators' actions.
    pub operator: Option<String>,
}

impl Tool {
    /// Reads it.
    ///
    /// # Errors
    /// Noted in `env`.
    pub fn read(env: &mut Env) -> Result<Self, Noted> {
        let folder = || Format::new("a folder", |text| Some(text.to_owned()));
        let programs =
            env.optional("BOXOFFICE_BIN_DIR", folder(), "The services' programs, if they are not beside boxctl.");
        // The local stack reads it itself; here it is only told.
        let cache = env.optional(
            "BOXOFFICE_SERVERS_CACHE",
            folder(),
            "Where the local stack keeps downloaded servers; .local/servers of the checkout if not set.",
        );
        let operator = env.optional(
            "BOXOFFICE_OPERATOR",
            Format::new("a name of 1 to 100 characters", |text| {
                Some(text.to_owned()).filter(|it| it.chars().count() <= 100)
            }),
            "Who works with boxctl, for the record of operators' actions; the name of the system's user if not set.",
        );
        cache?;
        let services = env.optional("BOXOFFICE_SERVICES", urls(), "Where projectors and query-apis are reached, for `boxctl status` and `doctor`; command-apis announce themselves.");
        Ok(Self { programs: programs?, services: services?.unwrap_or_default(), operator: operator? })
    }

    fn variables() -> Vec<Variable> {
        Env::declared(Self::read)
    }
}

/// URLs, each without the slash at its end.
fn urls() -> Format<Vec<String>> {
    let one = |text: &str| service_kit::validate::is_web_url(text).then(|| text.trim_end_matches('/').to_owned());
    Format::new("absolute http or https URLs separated by commas", move |text| {
        text.split(',').map(|it| one(it.trim())).collect()
    })
}
