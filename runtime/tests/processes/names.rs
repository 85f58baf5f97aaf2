//! Ids: what a process is called, and how it is found.

use crate::common::serving::until;
use crate::common::{Idle, gate, runtime};
use libprocess::{DeadLetterReason, Upid, dispatch_with, post, terminate, wait};

#[test]
fn an_unnamed_process_is_found_by_the_id_it_prints_until_it_ends() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let id = pid.upid().id().unwrap();
    assert!(id.starts_with("Idle(") && id.ends_with(')'), "{id}");
    assert_eq!(runtime.find(&id), Some(pid.upid()));
    terminate(pid);
    wait(pid);
    assert_eq!(runtime.find(&id), None);
    assert_eq!(pid.upid().id(), None);
    assert!(pid.to_string().contains("ended"), "{pid}");
}

#[test]
fn an_id_has_one_spelling_one_prefix_and_one_runtime() {
    let one = runtime(1);
    let other = runtime(1);
    let pid = one.spawn(Idle);
    let id = pid.upid().id().unwrap();
    let number = id.trim_start_matches("Idle(").trim_end_matches(')');
    assert_eq!(
        other.find(&id),
        None,
        "found in a runtime that does not have it"
    );
    for wrong in [
        format!("Idle(0{number})"),
        format!("Idle(+{number})"),
        format!("Other({number})"),
        format!("({number})"),
        format!("Idle({number}) "),
        format!("Idle({number}))"),
        "Idle(99999999999999999999)".to_owned(),
        "Idle(18446744073709551615)".to_owned(),
        "Idle()".to_owned(),
        "Idle".to_owned(),
        String::new(),
    ] {
        assert_eq!(one.find(&wrong), None, "{wrong}");
    }
}

#[test]
fn a_named_process_is_found_by_its_name_only() {
    let runtime = runtime(1);
    let pid = runtime.spawn_named("master", Idle).unwrap();
    assert_eq!(runtime.find("master"), Some(pid.upid()));
    assert_eq!(pid.upid().id().as_deref(), Some("master"));
    assert_eq!(runtime.find("Idle(0)").filter(|found| *found == pid), None);
}

#[test]
fn a_name_may_look_like_an_unnamed_id_and_wins() {
    let runtime = runtime(1);
    let unnamed = runtime.spawn(Idle);
    let id = unnamed.upid().id().unwrap();
    let named = runtime.spawn_named(&id, Idle).unwrap();
    assert_eq!(runtime.find(&id), Some(named.upid()));
}

#[test]
fn text_that_a_pid_prints_reaches_it() {
    let runtime = runtime(1);
    let receiver = runtime.spawn_named("receiver", Idle).unwrap();
    let text = receiver.to_string();
    // Resolved inside a process of the same runtime, whose address the text names.
    let sender = runtime.spawn(Idle);
    let sent = dispatch_with(sender, move |_, cx| {
        let parsed: Upid = text.parse().unwrap();
        cx.send(parsed, "hello", "");
    });
    sent.get().unwrap();
    dispatch_with(receiver, |_, _| ()).get().unwrap();
    assert_eq!(runtime.stats().unhandled, 1);
    assert_eq!(runtime.stats().dead_letters, 0);
}

#[test]
fn a_message_to_an_address_that_cannot_be_reached_is_a_dead_letter() {
    let runtime = runtime(1);
    let sender = runtime.spawn(Idle);
    let there: Upid = "someone@127.0.0.1:1".parse().unwrap();
    let to = there.clone();
    dispatch_with(sender, move |_, cx| cx.send(&to, "hello", ""))
        .get()
        .unwrap();
    until(|| runtime.stats().dead_letters == 1);
    let letter = &runtime.stats().last_dead_letters[0];
    assert_eq!((&letter.to, &*letter.name), (&there, "hello"));
    assert_eq!(letter.from, Upid::from(sender));
    assert_eq!(letter.reason, DeadLetterReason::Disconnected);
}

#[test]
fn events_for_a_process_that_ended_are_counted_and_the_last_hundred_kept() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    terminate(pid);
    wait(pid);
    for n in 0..150 {
        post(pid, format!("letter {n}"), "");
    }
    let statistics = runtime.stats();
    assert_eq!(statistics.dead_letters, 150);
    assert_eq!(statistics.last_dead_letters.len(), 100);
    assert_eq!(statistics.last_dead_letters[0].name, "letter 50");
    assert_eq!(statistics.last_dead_letters[99].name, "letter 149");
    assert_eq!(statistics.last_dead_letters[99].to, pid.upid());
}

#[test]
fn a_dead_letter_names_the_function_of_a_dispatch() {
    impl Named {
        fn method(&mut self) {}
    }
    struct Named;
    impl libprocess::Process for Named {}
    let runtime = runtime(1);
    let pid = runtime.spawn(Named);
    terminate(pid);
    wait(pid);
    drop(libprocess::dispatch(pid, Named::method, ()));
    drop(dispatch_with(pid, |_, _| ()));
    let letters = runtime.stats().last_dead_letters;
    assert!(
        letters[0].name.ends_with("Named::method"),
        "{}",
        letters[0].name
    );
    assert!(letters[1].name.contains(file!()), "{}", letters[1].name);
}

#[test]
fn the_pid_of_a_process_that_ends_is_found_until_its_handlers_return() {
    let runtime = runtime(1);
    let pid = runtime.spawn_named("leaving", Idle).unwrap();
    let (door, stop) = gate();
    drop(dispatch_with(pid, move |_, _| stop()));
    door.wait_until_reached();
    terminate(pid);
    assert_eq!(runtime.find("leaving"), Some(pid.upid()));
    door.open();
    wait(pid);
    assert_eq!(runtime.find("leaving"), None);
}
