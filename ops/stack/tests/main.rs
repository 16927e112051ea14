//! The stack as its users see it: real servers in a temporary folder.

#[allow(dead_code, reason = "another test binary needs more of it")]
mod client;

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use local_stack::{
    Endpoints, EphemeralStack, Server, ServerStatus, Signal, StackConfig, down, kill, restart, status, up, wipe,
};

#[test]
fn comes_up_twice_survives_kills_and_goes_away() {
    let mut said = Vec::new();
    let stack = EphemeralStack::start(&mut |line| {
        eprintln!("{line}");
        said.push(line.to_owned());
    })
    .expect("the stack starts");
    let config = stack.config().clone();
    for server in Server::ALL {
        let start = format!("{server} {}: started on 127.0.0.1:", server.version());
        assert!(said.iter().any(|line| line.starts_with(&start)), "{start} in {said:?}");
    }
    is_idempotent(&config, stack.endpoints());
    keeps_data_when_killed(&config, stack.endpoints());
    heals_when_frozen(&config);
    reports_a_taken_port(&config);
    comes_back_after_down(&config, stack.endpoints());
    wipes(&config);
    drop(stack);
    assert!(!config.folder.exists(), "the guard leaves {}", config.folder.display());
}

fn is_idempotent(config: &StackConfig, endpoints: &Endpoints) {
    let before = pids(config);
    assert_eq!(up(config, &mut silent).expect("up again"), *endpoints);
    assert_eq!(pids(config), before, "a second up starts nothing");
    for it in look(config) {
        assert!(it.up && it.log.is_file() && it.memory_bytes > Some(1 << 20), "{it:?}");
    }
}

fn keeps_data_when_killed(config: &StackConfig, endpoints: &Endpoints) {
    client::create_topic(&endpoints.kafka, "kept");
    let first = client::register(&endpoints.registry, "First");
    client::query(&endpoints.postgres, "CREATE TABLE kept (n int)");
    client::query(&endpoints.postgres, "INSERT INTO kept VALUES (42)");
    let before = pids(config);
    for server in Server::ALL {
        kill(config, server, Signal::Kill).expect("kill");
    }
    assert!(look(config).iter().all(|it| it.pid.is_none() && !it.up), "all are dead");
    repairs_once_for_all(config, endpoints);
    assert!(pids(config).iter().zip(&before).all(|(now, then)| now != then), "new processes");
    assert!(client::has_topic(&endpoints.kafka, "kept"));
    assert_eq!(client::register(&endpoints.registry, "First"), first, "schema ids survive");
    assert!(client::register(&endpoints.registry, "Second") > first, "schema ids are not given twice");
    assert_eq!(client::query(&endpoints.postgres, "SELECT n FROM kept").as_deref(), Some("42"));

    // Its first process alone, while another is too busy for a client to notice, and goes on.
    let busy = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b";
    let busy = client::start_query(&endpoints.postgres, busy);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let pid = look(config).into_iter().find(|it| it.name == Server::Postgres).and_then(|it| it.pid).expect("it runs");
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill runs").success());
    up(config, &mut loud).expect("up repairs");
    drop(busy);
    restart(config, Server::Postgres).expect("restart");
    assert_eq!(client::query(&endpoints.postgres, "SELECT n FROM kept").as_deref(), Some("42"));
}

/// Several test binaries may find the stack dead at once; each server is started by one of them.
fn repairs_once_for_all(config: &StackConfig, endpoints: &Endpoints) {
    let started = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut count = |line: &str| {
                    started.fetch_add(usize::from(line.contains(": started on")), Ordering::Relaxed);
                };
                assert_eq!(up(config, &mut count).expect("up repairs"), *endpoints, "the ports stay");
            });
        }
    });
    assert_eq!(started.into_inner(), Server::ALL.len());
}

fn heals_when_frozen(config: &StackConfig) {
    kill(config, Server::Kafka, Signal::Stop).expect("freeze");
    let frozen = look(config).into_iter().find(|it| it.name == Server::Kafka).expect("Kafka is listed");
    assert!(frozen.pid.is_some() && !frozen.up, "{frozen:?}");
    up(config, &mut loud).expect("up lets it go on");
    assert!(look(config).iter().all(|it| it.up));
}

fn reports_a_taken_port(config: &StackConfig) {
    kill(config, Server::Registry, Signal::Kill).expect("kill");
    let port = look(config).into_iter().find(|it| it.name == Server::Registry).and_then(|it| it.port).expect("kept");
    let squatter = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let error = format!("{:#}", up(config, &mut silent).expect_err("somebody else has the port"));
    assert!(error.contains(&format!("port {port}, which this stack keeps for registry, is taken")), "{error}");
    drop(squatter);
    up(config, &mut silent).expect("the port is free again");
}

fn comes_back_after_down(config: &StackConfig, endpoints: &Endpoints) {
    let stranger = Command::new("sleep").arg("600").spawn().expect("sleep runs");
    down(config, &mut loud).expect("down");
    down(config, &mut silent).expect("down again");
    assert!(look(config).iter().all(|it| it.pid.is_none() && !it.up));
    // As a crash or a reboot leaves it: Postgres's own file names a process that is somebody else's now.
    let file = config.folder.canonicalize().expect("it exists").join("postgres/data/postmaster.pid");
    let port = endpoints.postgres.rsplit([':', '/']).nth(1).expect("a port");
    let data = file.parent().expect("data").display().to_string();
    fs::write(&file, format!("{}\n{data}\n1700000000\n{port}\n\n127.0.0.1\n", stranger.id())).expect("write");
    assert_eq!(up(config, &mut loud).expect("up"), *endpoints, "the ports stay");
    assert_eq!(client::query(&endpoints.postgres, "SELECT n FROM kept").as_deref(), Some("42"));
    let mut stranger = stranger;
    assert!(stranger.try_wait().expect("ask").is_none(), "a stranger is left alone");
    stranger.kill().and_then(|()| stranger.wait()).expect("end the stranger");
}

fn wipes(config: &StackConfig) {
    wipe(config, &mut loud).expect("wipe");
    wipe(config, &mut silent).expect("wipe again");
    assert!(look(config).iter().all(|it| it.pid.is_none() && it.port.is_none()));
    for server in Server::ALL {
        assert!(!config.folder.join(server.name()).exists(), "{server} leaves nothing");
    }
}

#[test]
fn quotes_the_log_of_a_server_that_does_not_start() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let config = StackConfig { folder: folder.path().to_owned(), ..StackConfig::ephemeral().expect("a workspace") };
    fs::create_dir_all(config.folder.join("postgres/data")).expect("create");
    let error = format!("{:#}", up(&config, &mut silent).expect_err("this is no database"));
    wipe(&config, &mut silent).expect("wipe");
    assert!(error.contains("postgres") && error.contains("could not access the server configuration file"), "{error}");
}

fn look(config: &StackConfig) -> Vec<ServerStatus> {
    status(config).expect("status")
}

fn pids(config: &StackConfig) -> Vec<u32> {
    look(config).iter().map(|it| it.pid.expect("it runs")).collect()
}

fn silent(_: &str) {}

fn loud(line: &str) {
    eprintln!("{line}");
}
