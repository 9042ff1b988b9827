//! The PostgreSQL that these tests start is one that can be trusted.

use crate::postgres::{Postgres, Stop};

#[test]
fn a_server_of_the_tests_own_keeps_what_was_committed_and_is_gone_with_its_test() {
    let Some(server) = Postgres::new() else { return };
    assert_eq!(server.execute("SHOW fsync"), "on");
    server.execute("CREATE TABLE kept (n int)");
    for (n, how) in [Stop::Immediate, Stop::Fast].into_iter().enumerate() {
        server.execute(&format!("INSERT INTO kept VALUES ({n})"));
        server.restart(how);
    }
    assert_eq!(server.execute("SELECT n FROM kept ORDER BY n"), "0\n1");
    let folder = server.folder().to_owned();
    drop(server);
    assert!(!folder.exists());
}
