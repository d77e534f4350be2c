//! An operator at the command line: runs the built binary and reads what it says.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{DevServer, binary};

/// Runs `authepy` with these arguments.
pub fn authepy(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().unwrap()
}

/// Runs a command that must succeed; returns the JSON it prints.
pub fn told(arguments: &[&str]) -> Value {
    let output = authepy(&[arguments, &["--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {output:?}"))
}

/// Runs a command that must fail; returns its exit code and what it says.
pub fn refused(arguments: &[&str]) -> (i32, String) {
    let output = authepy(arguments);
    assert!(output.stdout.is_empty() && !output.status.success(), "{arguments:?}: {output:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Makes a key of this project, and the project if it is not there yet.
pub fn new_key(store: &str, project: &str, how: &[&str]) -> Value {
    let _there_already = authepy(&["project", "create", project, "--store", store]);
    told(&[&["key", "create", "--project", project, "--store", store], how].concat())
}

/// Asks the admin API of a running server; returns status and body.
pub fn admin(server: &DevServer, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let token = format!("Bearer {}", server.text("admin_token"));
    admin_with(server, method, path, &[("Authorization", &token)], body)
}

/// The same, with headers of the caller's choice.
pub fn admin_with(
    server: &DevServer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> (u16, Value) {
    let answer = admin_bytes(server, method, path, headers, body);
    (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
}

/// An answer of the admin listener as it came.
#[derive(Debug)]
pub struct AdminAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as text.
    pub body: String,
}

impl AdminAnswer {
    /// The value of the one field of this name; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(own, _)| own == name);
        let value = found.next().map_or("", |(_, value)| value);
        assert!(found.next().is_none(), "two {name}");
        value
    }
}

/// Asks the admin listener and returns the answer as it came.
pub fn admin_bytes(
    server: &DevServer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> AdminAnswer {
    use std::io::{Read as _, Write as _};
    let address = server.text("admin").strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let body = body.map_or(String::new(), Value::to_string);
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    write!(stream, "{head}\r\n{body}").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let fields = lines.map(|line| line.split_once(": ").unwrap());
    let headers = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    AdminAnswer { status, headers, body: body.to_owned() }
}
