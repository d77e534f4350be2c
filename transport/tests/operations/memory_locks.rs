//! What a running server's memory is kept out of: core files and swap (A35, A36).

use authepy_testkit::DevServer;
use authepy_testkit::phone::Phone;

const ARGUMENTS: [&str; 4] = ["dev", "--json", "--listen", "127.0.0.1:0"];

/// A number of `/proc/PID/status`.
fn status(server: &DevServer, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn memory_is_locked_where_that_is_allowed() {
    let server = DevServer::run(&ARGUMENTS);
    Phone::connect(&server).await.issue("ada@mybrand.com").await;
    let (locked, resident) = (status(&server, "VmLck"), status(&server, "VmRSS"));
    assert!(locked >= resident, "{locked} kB of {resident} kB locked");
    assert!(status(&server, "VmRSS") < 128 << 10, "reserved stacks and tables are not filled");
    assert!(!server.log().contains("not locked"), "{}", server.log());
}

/// A lock under a limit would hold until memory grows, and then end the process.
#[tokio::test]
async fn where_it_may_not_be_locked_the_log_says_so_and_phones_are_served() {
    let watching = ["--memlock=8388608", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"];
    let server = DevServer::run_under("prlimit", &watching, &ARGUMENTS);
    server.log_says("memory is not locked", 1);
    Phone::connect(&server).await.issue("ada@mybrand.com").await;
}

#[tokio::test]
async fn a_process_that_is_killed_by_a_fault_leaves_no_core_file() {
    let folder = tempfile::TempDir::new().unwrap();
    // Its limit is raised before it starts, its folder is where a core file would be.
    let watching = ["-c", "ulimit -c unlimited; cd \"$0\" && exec \"$@\"", folder.path().to_str().unwrap()];
    let server = DevServer::run_under("sh", &watching, &ARGUMENTS);
    Phone::connect(&server).await.issue("ada@mybrand.com").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.process_id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert_eq!(server.end("-ABRT"), None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
