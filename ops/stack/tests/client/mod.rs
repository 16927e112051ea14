//! Just enough of three protocols to write something and find it again.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Creates a topic of one partition.
pub fn create_topic(address: &str, name: &str) {
    try_create_topic(address, name).unwrap_or_else(|code| panic!("create topic: error code {code}"));
}

/// The same, or the error's code.
pub fn try_create_topic(address: &str, name: &str) -> Result<(), u16> {
    let mut body = 1_i32.to_be_bytes().to_vec();
    put_text(&mut body, name);
    body.extend(1_i32.to_be_bytes());
    body.extend(1_i16.to_be_bytes());
    body.extend([0_i32, 0, 10_000].iter().flat_map(|it| it.to_be_bytes()));
    body.push(0);
    let answer = kafka(address, 19, 2, &body);
    match u16::from_be_bytes(answer[4 + 2 + name.len()..][..2].try_into().expect("two bytes")) {
        0 => Ok(()),
        code => Err(code),
    }
}

/// Whether the topic exists.
pub fn has_topic(address: &str, name: &str) -> bool {
    let mut body = 1_i32.to_be_bytes().to_vec();
    put_text(&mut body, name);
    body.push(0);
    let answer = kafka(address, 3, 4, &body);
    let mut wanted = vec![0, 0];
    put_text(&mut wanted, name);
    answer.windows(wanted.len()).any(|window| window == wanted)
}

/// Registers a schema under a subject of its name; gives its id.
pub fn register(base: &str, name: &str) -> u64 {
    let schema = format!(r#"{{"type":"record","name":"{name}","fields":[]}}"#);
    let body = serde_json::json!({ "schema": schema }).to_string();
    let (address, path) = base.strip_prefix("http://").and_then(|it| it.split_once('/')).expect("a URL");
    let mut stream = TcpStream::connect(address).expect("the registry listens");
    write!(
        stream,
        "POST /{path}/subjects/{name}/versions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    let (_, rest) = answer.split_once("\"id\":").unwrap_or_else(|| panic!("no id in {answer}"));
    rest.split(|it: char| !it.is_ascii_digit()).next().expect("a part").parse().expect("a number")
}

/// Runs one statement; gives the first column of its last row.
pub fn query(url: &str, statement: &str) -> Option<String> {
    let answer = messages(&mut start_query(url, statement));
    let row = answer.iter().rfind(|(kind, _)| *kind == b'D')?;
    // The number of columns and the length of the first come before it.
    Some(String::from_utf8(row.1[6..].to_vec()).expect("text"))
}

/// Sends one statement without waiting for its answer.
pub fn start_query(url: &str, statement: &str) -> TcpStream {
    let (_, rest) = url.split_once('@').expect("a user");
    let (address, database) = rest.split_once('/').expect("a database");
    let mut stream = TcpStream::connect(address).expect("Postgres listens");
    send(&mut stream, b"", format!("\0\x03\0\0user\0postgres\0database\0{database}\0\0").as_bytes());
    messages(&mut stream);
    send(&mut stream, b"Q", format!("{statement}\0").as_bytes());
    stream
}

fn kafka(address: &str, key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("Kafka listens");
    let mut request = [key.to_be_bytes(), version.to_be_bytes()].concat();
    request.extend([0, 0, 0, 7, 0xff, 0xff]);
    request.extend(body);
    let length = u32::try_from(request.len()).expect("short");
    stream.write_all(&[&length.to_be_bytes()[..], &request].concat()).expect("write");
    let mut size = [0; 4];
    stream.read_exact(&mut size).expect("read");
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut answer).expect("read");
    // Without the correlation id; what follows starts with the throttle time in both requests.
    answer.split_off(4).get(4..).expect("a throttle time").to_vec()
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
    body.extend(text.as_bytes());
}

fn send(stream: &mut TcpStream, kind: &[u8], body: &[u8]) {
    let length = u32::try_from(body.len() + 4).expect("short");
    stream.write_all(&[kind, &length.to_be_bytes(), body].concat()).expect("write");
}

fn messages(stream: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).expect("read");
        let mut body = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4];
        stream.read_exact(&mut body).expect("read");
        assert_ne!(head[0], b'E', "{}", String::from_utf8_lossy(&body));
        if head[0] == b'Z' {
            return all;
        }
        all.push((head[0], body));
    }
}
