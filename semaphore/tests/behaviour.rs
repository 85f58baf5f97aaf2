//! What every kind of semaphore must do: one suite, run for each.
#![cfg(not(any(libprocess_loom, libprocess_shuttle)))]

mod suite;
mod support;

macro_rules! behaviour {
    ($semaphore:ty, $kind:ident, [$($part:ident :: { $($test:ident),* $(,)? }),* $(,)?]) => {
        mod $kind {
            $($(
                #[test]
                fn $test() {
                    crate::support::within_reason(crate::suite::$part::$test::<$semaphore>);
                }
            )*)*
        }
    };
}

macro_rules! for_each_kind {
    ($parts:tt) => {
        behaviour!(libprocess_semaphore::KernelSemaphore, kernel, $parts);
        behaviour!(
            libprocess_semaphore::LifoFixedSizeSemaphore,
            last_in_first_out,
            $parts
        );
    };
}

for_each_kind!([
    signals::{
        kept_signals_are_used_one_by_one,
        as_many_signals_as_there_are_waiters_wake_them_all,
        signals_wake_exactly_as_many,
        a_waiter_can_signal,
        threads_hand_a_turn_back_and_forth,
    },
    accounting::{
        no_signal_is_lost_or_doubled,
        a_signal_that_races_with_a_deadline_is_used_or_kept,
    },
    decommissioning::{
        sends_every_waiter_home,
        comes_before_kept_signals,
        ignores_later_signals,
        may_be_repeated,
        reaches_waiters_that_race_with_it,
        ends_waits_with_a_deadline,
    },
    deadlines::{
        never_end_a_wait_early,
        leave_kept_signals_alone,
        let_a_kept_signal_win,
        survive_signals_of_the_operating_system,
        can_be_centuries_away,
    },
    idling::{
        uses_no_processor_time_without_a_deadline,
        uses_no_processor_time_with_a_deadline,
    },
]);
