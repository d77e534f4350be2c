//! An operator at the command line: runs the built binary and reads what it says.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs `authepy` with these arguments.
pub fn authepy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_authepy")).args(arguments).output().unwrap()
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
pub fn admin(server: &super::DevServer, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let token = format!("Bearer {}", server.text("admin_token"));
    admin_with(server, method, path, &[("Authorization", &token)], body)
}

/// The same, with headers of the caller's choice.
pub fn admin_with(
    server: &super::DevServer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> (u16, Value) {
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
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}
