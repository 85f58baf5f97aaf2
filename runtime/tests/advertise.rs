//! Where a runtime says that it is: not always where it listens.

mod common;

use std::net::SocketAddr;

use common::http::answers_at;
use common::sockets::LONG;
use common::{Idle, again};
use libprocess::{Runtime, RuntimeBuilder, SpawnOptions, Upid, WaitStatus, wait};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// On the loopback, at any port.
fn listening() -> RuntimeBuilder {
    Runtime::builder().workers(1).listen(address("127.0.0.1:0"))
}

fn local(runtime: &Runtime) -> SocketAddr {
    runtime.local_address().expect("it listens")
}

#[test]
fn a_runtime_is_where_it_listens_unless_it_was_told() {
    for builder in [listening(), Runtime::builder().workers(1)] {
        let runtime = builder.build().expect("a runtime");
        assert_eq!(runtime.address(), runtime.local_address());
        assert!(local(&runtime).ip().is_loopback());
        assert_eq!(runtime.address6(), None);
    }
}

#[test]
fn a_runtime_that_listens_when_it_is_asked_says_what_it_was_told() {
    let runtime = Runtime::builder()
        .workers(1)
        .advertise(address("192.0.2.7:0"))
        .advertise6("2001:db8::7".parse().expect("an address"))
        .build()
        .expect("a runtime");
    let address6 = runtime.address6().expect("it was told");
    let port = local(&runtime).port();
    assert_eq!(address6.to_string(), format!("[2001:db8::7]:{port}"));
    let said = address(&format!("192.0.2.7:{port}"));
    assert_eq!(runtime.address(), Some(said));
    answers_at(local(&runtime));
}

#[test]
fn a_runtime_that_does_not_listen_is_nowhere() {
    let runtime = Runtime::builder()
        .workers(1)
        .listen_nowhere()
        .advertise(address("192.0.2.7:31000"))
        .advertise6("2001:db8::7".parse().expect("an address"))
        .build()
        .expect("a runtime");
    assert_eq!(runtime.address(), None);
    assert_eq!(runtime.address6(), None);
    assert_eq!(runtime.local_address(), None);
}

#[test]
fn what_is_advertised_is_in_the_names_of_processes_and_not_bound() {
    let runtime = listening()
        .advertise(address("192.0.2.7:31000"))
        .advertise6("2001:db8::7".parse().expect("an address"))
        .build()
        .expect("a runtime");
    assert_eq!(runtime.address(), Some(address("192.0.2.7:31000")));
    let address6 = runtime.address6().map(SocketAddr::V6);
    assert_eq!(address6, Some(address("[2001:db8::7]:31000")));

    // It serves where it listens.
    assert!(local(&runtime).ip().is_loopback());
    answers_at(local(&runtime));

    let names = [
        "idle@192.0.2.7:31000".to_owned(),
        "idle@[2001:db8::7]:31000".to_owned(),
        // Whoever is in the same place may know it by that.
        format!("idle@{}", local(&runtime)),
    ];
    for name in &names {
        let idle = runtime.spawn_named("idle", Idle).expect("spawned");
        assert_eq!(idle.to_string(), names[0]);
        let upid: Upid = name.parse().expect("a name");
        runtime.terminate(&upid);
        assert!(wait(idle).has_ended(), "{name}");
    }
}

#[test]
fn a_name_of_another_address_means_nobody() {
    let runtime = listening()
        .advertise(address("192.0.2.7:31000"))
        .build()
        .expect("a runtime");
    runtime.spawn_named("idle", Idle).expect("spawned");
    for other in [
        format!("192.0.2.7:{}", local(&runtime).port()),
        "127.0.0.1:31000".to_owned(),
        "0.0.0.0:0".to_owned(),
        "[2001:db8::7]:31000".to_owned(),
    ] {
        // One that is there would be waited for.
        let upid = Upid::new("idle", address(&other));
        let waited = runtime.wait_timeout(upid, LONG);
        assert_eq!(waited, WaitStatus::AlreadyEnded, "{other}");
    }
}

#[test]
fn port_0_is_the_port_at_which_it_listens() {
    let runtime = listening()
        .advertise(address("192.0.2.7:0"))
        .build()
        .expect("a runtime");
    let port = local(&runtime).port();
    assert_eq!(
        runtime.address(),
        Some(SocketAddr::new(address("192.0.2.7:0").ip(), port))
    );
}

#[test]
fn who_listens_at_all_addresses_says_one_that_is_reached() {
    for any in ["0.0.0.0:0", "[::]:0"] {
        let runtime = Runtime::builder()
            .workers(1)
            .listen(address(any))
            .build()
            .expect("a runtime");
        let said = runtime.address().expect("it listens");
        assert!(!said.ip().is_unspecified(), "{any}: {said}");
        assert!(local(&runtime).ip().is_unspecified(), "{any}");
        assert_eq!(said.port(), local(&runtime).port());
        answers_at(said);
    }
}

#[test]
fn who_listens_at_all_addresses_and_was_told_an_ipv6_address_says_that() {
    let runtime = Runtime::builder()
        .workers(1)
        .listen(address("[::]:0"))
        .advertise6("2001:db8::7".parse().expect("an address"))
        .build()
        .expect("a runtime");
    assert_eq!(runtime.address(), runtime.address6().map(SocketAddr::V6));
}

/// Not a test by itself: run by those below with the variables set.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn print_addresses_of_the_environment() {
    let runtime = Runtime::builder().workers(1).build();
    print_addresses(&runtime.expect("a runtime"));
}

/// As above.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn print_addresses_of_a_runtime_that_listens_nowhere() {
    let builder = listening().listen_nowhere();
    print_addresses(&builder.build().expect("a runtime"));
}

/// As above.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn print_addresses_of_a_builder_and_the_environment() {
    let runtime = listening()
        .advertise(address("192.0.2.1:1001"))
        .advertise6("2001:db8::1".parse().expect("an address"))
        .build();
    print_addresses(&runtime.expect("a runtime"));
}

fn print_addresses(runtime: &Runtime) {
    let Some(local) = runtime.local_address() else {
        assert_eq!((runtime.address(), runtime.address6()), (None, None));
        return println!("\nsaid: nothing");
    };
    let said = runtime.address().expect("it listens");
    let options = SpawnOptions::new().name("idle");
    let idle = runtime.spawn_with(options, Idle).expect("spawned");
    assert_eq!(idle.to_string(), format!("idle@{said}"));
    let said6 = runtime.address6().map(|said6| format!(" {said6}"));
    let said = format!("{said}{} bound {local}", said6.unwrap_or_default());
    // The operating system chose it.
    println!(
        "\nsaid: {}",
        said.replace(&format!(":{}", local.port()), ":N")
    );
}

/// What that test prints under these variables, and what it complains of.
fn under(test: &str, variables: &[(&str, &str)]) -> (String, String) {
    let names = ["IP", "PORT", "ADVERTISE_IP", "ADVERTISE_PORT", "IP6"];
    let mut command = again(test);
    for name in names {
        command.env_remove(format!("LIBPROCESS_{name}"));
    }
    for (name, value) in variables {
        command.env(format!("LIBPROCESS_{name}"), value);
    }
    let output = command.output().expect("this program again");
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{variables:?}: {printed}{complaint}"
    );
    let said = printed.lines().find_map(|line| line.strip_prefix("said: "));
    let said = said.unwrap_or_else(|| panic!("{variables:?}: {printed}"));
    (said.to_owned(), complaint.into_owned())
}

#[test]
fn the_environment_says_what_is_advertised() {
    const PORT: (&str, &str) = ("PORT", "0");
    /// The variables, what is said, and the complaints.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);
    let cases: [Case<'_>; 13] = [
        (&[], "127.0.0.1:N bound 127.0.0.1:N", &[]),
        (
            &[("ADVERTISE_IP", "192.0.2.7")],
            "192.0.2.7:N bound 127.0.0.1:N",
            &[],
        ),
        (&[PORT], "127.0.0.1:N bound 127.0.0.1:N", &[]),
        (
            &[PORT, ("ADVERTISE_IP", "192.0.2.7")],
            "192.0.2.7:N bound 127.0.0.1:N",
            &[],
        ),
        (
            &[PORT, ("ADVERTISE_PORT", "31000")],
            "127.0.0.1:31000 bound 127.0.0.1:N",
            &[],
        ),
        (
            &[
                PORT,
                ("ADVERTISE_IP", "192.0.2.7"),
                ("ADVERTISE_PORT", "31000"),
                ("IP6", "2001:db8::7"),
            ],
            "192.0.2.7:31000 [2001:db8::7]:31000 bound 127.0.0.1:N",
            &[],
        ),
        (
            &[PORT, ("IP6", "2001:db8::7")],
            "127.0.0.1:N [2001:db8::7]:N bound 127.0.0.1:N",
            &[],
        ),
        (
            &[PORT, ("ADVERTISE_IP", "2001:db8::7")],
            "[2001:db8::7]:N bound 127.0.0.1:N",
            &[],
        ),
        (
            &[("IP", "0.0.0.0"), ("ADVERTISE_IP", "192.0.2.7")],
            "192.0.2.7:N bound 0.0.0.0:N",
            &[],
        ),
        (
            &[PORT, ("ADVERTISE_IP", "here"), ("ADVERTISE_PORT", "31000")],
            "127.0.0.1:31000 bound 127.0.0.1:N",
            &["LIBPROCESS_ADVERTISE_IP=\"here\": expected an IP address"],
        ),
        (
            &[PORT, ("ADVERTISE_PORT", "0")],
            "127.0.0.1:N bound 127.0.0.1:N",
            &["LIBPROCESS_ADVERTISE_PORT=\"0\": expected a number from 1 to 65535"],
        ),
        (
            &[PORT, ("ADVERTISE_PORT", "65536"), ("IP6", "192.0.2.7")],
            "127.0.0.1:N bound 127.0.0.1:N",
            &[
                "LIBPROCESS_ADVERTISE_PORT=\"65536\": expected a number from 1 to 65535",
                "LIBPROCESS_IP6=\"192.0.2.7\": expected an IPv6 address",
            ],
        ),
        (
            &[PORT, ("IP6", "::")],
            "127.0.0.1:N bound 127.0.0.1:N",
            &["LIBPROCESS_IP6=\"::\": expected an IPv6 address other than ::"],
        ),
    ];
    for (variables, expected, complaints) in cases {
        let (said, complaint) = under("print_addresses_of_the_environment", variables);
        assert_eq!(said, expected, "{variables:?}");
        let count = complaint.matches("libprocess: ignoring").count();
        assert_eq!(count, complaints.len(), "{variables:?}: {complaint}");
        for expected in complaints {
            assert!(complaint.contains(expected), "{variables:?}: {complaint}");
        }
    }
}

#[test]
fn the_builder_wins_over_the_environment() {
    let variables = [
        ("IP", "192.0.2.9"),
        ("PORT", "9"),
        ("ADVERTISE_IP", "192.0.2.7"),
        ("ADVERTISE_PORT", "31000"),
        ("IP6", "2001:db8::7"),
    ];
    let (said, complaint) = under(
        "print_addresses_of_a_builder_and_the_environment",
        &variables,
    );
    assert_eq!(said, "192.0.2.1:1001 [2001:db8::1]:1001 bound 127.0.0.1:N");
    assert!(!complaint.contains("ignoring"), "{complaint}");
}

#[test]
fn a_builder_that_says_nowhere_wins_over_the_environment() {
    let test = "print_addresses_of_a_runtime_that_listens_nowhere";
    let (said, complaint) = under(test, &[("IP", "192.0.2.9"), ("PORT", "9")]);
    assert_eq!(said, "nothing");
    assert!(!complaint.contains("libprocess:"), "{complaint}");
}
