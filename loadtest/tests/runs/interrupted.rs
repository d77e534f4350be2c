//! A run that is interrupted leaves neither its server nor its folder behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The ids of processes that were started with this folder.
fn servers_in(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let command = |id: &String| fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let ids = processes.map(|process| process.file_name().to_string_lossy().into_owned());
    ids.filter(|id| String::from_utf8_lossy(&command(id)).contains(folder)).collect()
}

#[test]
fn ctrl_c_takes_the_server_and_its_folder_along() {
    let folder = tempfile::tempdir().unwrap();
    let harness = Path::new(env!("CARGO_BIN_EXE_authepy-loadtest"));
    let mut run = Command::new(harness)
        .args(["run", "signup-wave", "--seconds", "600", "--set", "crowd.rate=2", "--set", "crowd.peers=400"])
        .arg("--start")
        .arg(harness.with_file_name("authepy"))
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its first line says that the first second of the run is over.
    let mut said = String::new();
    BufReader::new(run.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains(" s of 600"), "{said}");
    assert_eq!(servers_in(folder.path()).len(), 1);
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(servers_in(folder.path()).is_empty());
}
