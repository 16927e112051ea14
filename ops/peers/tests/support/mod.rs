//! A peer as a process, and a client that sends one request a connection.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use domain::value::{Role, Timestamp};
use local_stack::StackConfig;
use serde_json::{Value, json};
use service_kit::auth::{NewToken, Rules, SigningKey, mint_bearer};
use service_kit::config::Env;
use service_kit::keys::Secret32;
use service_kit::{clock, env};
use uuid::Uuid;

const SHOW: &str = "0190a1b2-0000-7000-8000-000000000001";
const TICKET_CLASS: &str = "0190a1b2-0000-7000-8000-000000000002";
const SEED: [u8; 32] = [7; 32];

/// A running peer, ended when dropped.
pub struct Peer {
    child: Child,
    _output: BufReader<ChildStdout>,
    address: String,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

/// The server that `BOXOFFICE_POSTGRES` names, else that of the tests' local stack.
pub fn postgres() -> String {
    let named = |env: &mut Env| env.optional("BOXOFFICE_POSTGRES", env::text("a URL"), "A Postgres server for tests.");
    match Env::from_process().read(named).unwrap() {
        Some(url) => url,
        None => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
            local_stack::up(&StackConfig::for_tests(root), &mut |_| {}).unwrap().postgres
        }
    }
}

impl Peer {
    pub fn start(design: &str, durability: &str, capacity: u32) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peer"));
        command.args(["--design", design, "--durability", durability, "--capacity", &capacity.to_string()]);
        command.args(["--show", SHOW, "--ticket-class", TICKET_CLASS, "--token-key", &"07".repeat(32)]);
        if design != "redis" {
            command.args(["--postgres", &postgres()]);
        }
        let mut child = command.env("BOXOFFICE_LOG", "warn").stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((ready["design"].as_str(), ready["durability"].as_str()), (Some(design), Some(durability)));
        let address = ready["listening"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Self { child, _output: output, address }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn order(&self, who: &str, key: &str, order: Uuid, quantity: i32) -> Answer {
        self.send(
            "PUT",
            &format!("/v1/orders/{order}"),
            &[bearer(who), format!("Idempotency-Key: {key}")],
            &body(quantity),
        )
    }

    pub fn send(&self, method: &str, path: &str, headers: &[String], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: peer\r\nConnection: close\r\n{kind}{headers}");
        write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    pub fn tally(&self) -> Value {
        self.send("GET", "/_peer/tally", &[], "").body
    }

    /// Asks it to end, and waits until it has; whether it ended in order.
    pub fn stop(mut self) -> bool {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn bearer(who: &str) -> String {
    let expires = Timestamp(clock::now().0 + 3_600_000_000);
    let token = NewToken { subject: who, roles: BTreeSet::<Role>::new(), expires, rules: &Rules::default() };
    format!("Authorization: Bearer {}", mint_bearer(&SigningKey::new(&Secret32::new(SEED)), &token))
}

pub fn body(quantity: i32) -> String {
    let unit_price = json!({"amount": 150_000, "currency": "VND"});
    let lines = json!([{"ticket_class": TICKET_CLASS, "quantity": quantity, "unit_price": unit_price}]);
    let buyer = json!({"name": "Linh", "email": "linh@example.com"});
    let payment = json!({"provider": "payos", "return_url": "https://example.com/thanks"});
    json!({"show": SHOW, "lines": lines, "buyer": buyer, "payment": payment}).to_string()
}
