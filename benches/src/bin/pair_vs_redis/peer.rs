//! The callers of Redis: as many live verifications as the engine has, and whoever checks drawn by lot.
use std::time::{Duration, Instant};

use authepy_benches::cpu;
use authepy_benches::redis::{CHECK, ISSUE, Redis};
use authepy_engine::testing::Seeded;

/// Commands in one write.
const PIPELINE: usize = 16;

/// Redis, and the people whose codes it holds.
pub(crate) struct Peer {
    redis: Redis,
    issue: String,
    check: String,
    lot: Seeded,
    /// Numbers of those that wait with a mail in hand.
    waiting: Vec<u64>,
    issued: u64,
    start: Instant,
}

impl Peer {
    pub(crate) fn filled(mut redis: Redis, size: usize) -> Result<Self, String> {
        let (issue, check) = (redis.load(ISSUE)?, redis.load(CHECK)?);
        let (lot, waiting, start) = (Seeded::new(3), Vec::with_capacity(size), cpu::now());
        let mut peer = Self { redis, issue, check, lot, waiting, issued: 0, start };
        while peer.waiting.len() < size {
            peer.fill()?;
        }
        Ok(peer)
    }

    /// Verifications that were issued long ago: their windows have passed.
    fn fill(&mut self) -> Result<(), String> {
        let numbers = self.issued..self.issued + PIPELINE as u64;
        for number in numbers.clone() {
            let (verification, mac) = (key(b'v', number), mac(number));
            self.redis.push(&[b"HSET", &verification, b"mac", &mac, b"tries", b"5"]);
            self.redis.push(&[b"PEXPIRE", &verification, b"300000"]);
        }
        self.redis.numbers(2 * PIPELINE)?;
        self.issued = numbers.end;
        self.waiting.extend(numbers);
        Ok(())
    }

    /// Pairs for `length`. Returns how many, and the CPU they took in ns.
    pub(crate) fn pairs(&mut self, length: Duration) -> Result<(u64, u64), String> {
        let (end, before) = (cpu::now() + length, cpu::nanos(self.redis.pid())?);
        let mut done = 0;
        while cpu::now() < end {
            self.issue()?;
            done += self.check()?;
        }
        Ok((done, cpu::nanos(self.redis.pid())?.saturating_sub(before)))
    }

    fn issue(&mut self) -> Result<(), String> {
        let now = self.now();
        for number in self.issued..self.issued + PIPELINE as u64 {
            let [peer, inbox, share, verification] = [b'p', b'i', b's', b'v'].map(|kind| key(kind, number));
            let mac = mac(number);
            self.redis.push(&[
                b"EVALSHA",
                self.issue.as_bytes(),
                b"4",
                &peer,
                &inbox,
                &share,
                &verification,
                now.as_bytes(),
                &mac,
            ]);
        }
        for answer in self.redis.numbers(PIPELINE)? {
            if answer != 1 {
                return Err(format!("not issued: {answer}"));
            }
            self.waiting.push(self.issued);
            self.issued += 1;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<u64, String> {
        let now = self.now();
        for _ in 0..PIPELINE {
            let at = self.lot.below(self.waiting.len().max(1) as u64) as usize;
            let number = self.waiting.swap_remove(at);
            let [peer, verification, wrong] = [b'c', b'v', b'w'].map(|kind| key(kind, number));
            let mac = mac(number);
            self.redis.push(&[
                b"EVALSHA",
                self.check.as_bytes(),
                b"3",
                &peer,
                &verification,
                &wrong,
                now.as_bytes(),
                &mac,
            ]);
        }
        let answers = self.redis.numbers(PIPELINE)?;
        match answers.iter().find(|answer| **answer != 1) {
            Some(answer) => Err(format!("not approved: {answer}")),
            None => Ok(answers.len() as u64),
        }
    }

    fn now(&self) -> String {
        cpu::now().duration_since(self.start).as_millis().to_string()
    }
}

/// Seventeen bytes, as a kind and a fingerprint would be.
fn key(kind: u8, number: u64) -> [u8; 17] {
    let mut key = [kind; 17];
    key[1..9].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    key
}

/// Eight bytes, as the engine keeps of a MAC.
fn mac(number: u64) -> [u8; 8] {
    number.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_le_bytes()
}
