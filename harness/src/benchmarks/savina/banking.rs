//! Transfers between accounts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use libprocess::{Context, Pid, Process, Promise, dispatch};

use super::random::Random;
use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::{Trial, in_memory, join_all};

/// What each account has at first: more than it can lose.
const BALANCE: i64 = 1 << 50;

/// A teller has accounts transfer money to others. An account that waits for the answer of another one puts aside all that comes meanwhile: what is
/// asked and answered between processes that may not interleave.
///
/// Money only goes to accounts of higher numbers, as in Savina, so no two wait for each other.
pub(crate) struct Banking;

impl Benchmark for Banking {
    fn name(&self) -> &'static str {
        "Banking"
    }

    fn summary(&self) -> &'static str {
        "Savina's: transfers between accounts, each a process that serves nothing else while it waits for the other one's answer; a repeat is a \
         transfer, of four dispatches."
    }

    fn unit(&self) -> &'static str {
        "transfers/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(50_000).actors(1_000, 2)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, transfers) = (setting.runtime, setting.parameters.repeat);
        let number = in_memory(setting.parameters.actors.unwrap_or(2));
        let mut trial = Trial::begin(setting);
        let accounts: Vec<_> = (0..number)
            .map(|_| runtime.spawn_owned(Account::new()))
            .collect();
        let pids: Arc<[Pid<Account>]> = accounts.iter().map(|account| account.pid()).collect();
        let done = Promise::new();
        let all = done.future();
        let teller = runtime.spawn_owned(Teller {
            accounts: pids,
            left: transfers,
            done: Some(done),
        });

        let started = Instant::now();
        runtime
            .dispatch(teller.pid(), Teller::start, (transfers,))
            .detach();
        trial.wait(all, |counts| counts.dispatches / 4)?;
        let seconds = started.elapsed().as_secs_f64();

        drop(teller);
        let expected = balances(number, transfers);
        let mut waiting = 0;
        for (index, account) in join_all(accounts)?.iter().enumerate() {
            let what = format_args!("the balance of account {index}");
            trial.equal(
                what,
                account.balance.cast_unsigned(),
                expected[index].cast_unsigned(),
            );
            waiting += account.aside.len() + usize::from(account.waits);
        }
        trial.equal("accounts and transfers that wait", waiting as u64, 0);
        let accounts = number as u64;
        let expected = Counts {
            dispatches: 1 + 4 * transfers,
            ..Counts::lives(accounts + 1)
        };
        let verified = format!(
            "{}, the balance of each of {}",
            count(transfers, "transfer"),
            count(accounts, "account")
        );
        trial.finish(expected, Sample::rate(transfers, seconds, verified))
    }
}

/// From which account to which, and how much.
struct Transfer {
    from: usize,
    to: usize,
    amount: i64,
}

/// The transfers: the same in each run.
fn transfers(accounts: usize, transfers: u64) -> impl Iterator<Item = Transfer> {
    let mut random = Random::new(123_456);
    // As Savina: the last fifth of the accounts gives nothing; the last one never does, as nobody is behind it.
    let givers = (accounts / 10 * 8).clamp(1, accounts - 1);
    (0..transfers).map(move |_| {
        let from = random.below(givers);
        Transfer {
            from,
            to: from + 1 + random.below(accounts - from - 1),
            amount: 1 + random.below(1_000) as i64,
        }
    })
}

/// What each account has in the end.
fn balances(accounts: usize, number: u64) -> Vec<i64> {
    let mut balances = vec![BALANCE; accounts];
    for transfer in transfers(accounts, number) {
        balances[transfer.from] -= transfer.amount;
        balances[transfer.to] += transfer.amount;
    }
    balances
}

struct Teller {
    accounts: Arc<[Pid<Account>]>,
    left: u64,
    done: Option<Promise<()>>,
}

impl Process for Teller {}

impl Teller {
    fn start(&mut self, number: u64, cx: &mut Context<Self>) {
        for Transfer { from, to, amount } in transfers(self.accounts.len(), number) {
            let arguments = (cx.pid(), amount, self.accounts[to]);
            dispatch(self.accounts[from], Account::debit, arguments).detach();
        }
    }

    fn transferred(&mut self) {
        self.left -= 1;
        if self.left == 0
            && let Some(done) = self.done.take()
        {
            done.set(());
        }
    }
}

/// What an account is asked to do.
#[derive(Clone, Copy)]
enum Asked {
    Debit(Pid<Teller>, i64, Pid<Account>),
    Credit(i64, Pid<Account>),
}

struct Account {
    balance: i64,
    teller: Option<Pid<Teller>>,
    /// Whether another account's answer is on its way.
    waits: bool,
    aside: VecDeque<Asked>,
}

impl Process for Account {}

impl Account {
    fn new() -> Self {
        Self {
            balance: BALANCE,
            teller: None,
            waits: false,
            aside: VecDeque::new(),
        }
    }

    fn debit(&mut self, teller: Pid<Teller>, amount: i64, to: Pid<Self>, cx: &mut Context<Self>) {
        self.asked(Asked::Debit(teller, amount, to), cx);
    }

    fn credit(&mut self, amount: i64, from: Pid<Self>, cx: &mut Context<Self>) {
        self.asked(Asked::Credit(amount, from), cx);
    }

    fn asked(&mut self, asked: Asked, cx: &mut Context<Self>) {
        if self.waits {
            self.aside.push_back(asked);
            return;
        }
        match asked {
            Asked::Debit(teller, amount, to) => {
                self.balance -= amount;
                self.teller = Some(teller);
                self.waits = true;
                dispatch(to, Self::credit, (amount, cx.pid())).detach();
            }
            Asked::Credit(amount, from) => {
                self.balance += amount;
                dispatch(from, Self::answer, ()).detach();
            }
        }
    }

    fn answer(&mut self, cx: &mut Context<Self>) {
        self.waits = false;
        if let Some(teller) = self.teller.take() {
            dispatch(teller, Teller::transferred, ()).detach();
        }
        while !self.waits
            && let Some(asked) = self.aside.pop_front()
        {
            self.asked(asked, cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_goes_to_higher_numbers_and_none_is_lost() {
        for accounts in [2, 3, 10, 1_000] {
            for transfer in transfers(accounts, 1_000) {
                assert!(transfer.from < transfer.to && transfer.to < accounts);
                assert!((1..=1_000).contains(&transfer.amount));
            }
            let sum: i64 = balances(accounts, 1_000).iter().sum();
            assert_eq!(sum, BALANCE * accounts as i64);
        }
    }
}
