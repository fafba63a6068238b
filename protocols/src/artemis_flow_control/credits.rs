//! A producer's credits for one address: how much it may send before the broker has to say more.
//!
//! A producer asks for credits before it runs out of them, half a window at a time. The broker keeps no account; it
//! answers each request once, when there is room. So the producer has to know what is still to come (`arriving`): if
//! it waits while nothing is, it waits for ever.

use super::defects::Defects;

/// What a producer does when it has no credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// It waits. Starts without credits.
    Blocking,
    /// It sends all the same and is told to pause: the balance may become negative. Starts with a window.
    Asynchronous,
}

/// The credits of one producer for one address, in bytes.
#[derive(Clone, Debug, Hash)]
pub struct ProducerCredits {
    flavour: Flavour,
    window: i64,
    /// What may still be sent.
    balance: i64,
    /// What has been asked for and has not come.
    arriving: i64,
    /// What has been asked for and not been used, wherever it is.
    pending: i64,
}

impl ProducerCredits {
    /// Credits for a window of this many bytes.
    pub fn new(flavour: Flavour, window: u32) -> Self {
        let window = i64::from(window);
        let balance = if flavour == Flavour::Asynchronous { window } else { 0 };
        ProducerCredits { flavour, window, balance, arriving: 0, pending: 0 }
    }

    /// Takes credits for a packet. Returns whether it may be sent now, and how much to ask the broker for.
    pub fn acquire(&mut self, bytes: u32, defects: Defects) -> (bool, Option<u32>) {
        let bytes = i64::from(bytes);
        let request = self.check(bytes, defects);
        if self.flavour == Flavour::Blocking && self.balance < bytes {
            return (false, request);
        }
        self.balance -= bytes;
        self.pending -= bytes;
        (true, request)
    }

    /// Credits have come. Returns how much more to ask for.
    pub fn receive(&mut self, credits: u32, defects: Defects) -> Option<u32> {
        self.arriving -= i64::from(credits);
        self.balance += i64::from(credits);
        if self.flavour == Flavour::Blocking || self.arriving > 0 {
            return None;
        }
        // The packets of a large message do not wait for each other's credits, so all that was asked for may be spent.
        // ARTEMIS-5733: a balance of exactly zero pauses the producer just as well.
        let spent = if defects.zero_balance_not_replenished { self.balance < 0 } else { self.balance <= 0 };
        spent.then(|| self.request(self.window - self.balance))
    }

    /// The session has failed over: what was on its way will not come. Returns how much to ask for.
    pub fn reset(&mut self, defects: Defects) -> Option<u32> {
        let before = self.pending;
        self.pending = 0;
        self.arriving = 0;
        self.balance = 0;
        // Whoever waits for more than a window has to ask for that again.
        self.check(self.window.max(before), defects)
    }

    /// Whether the producer has to pause.
    pub fn exhausted(&self) -> bool {
        self.balance <= 0
    }

    /// Whether nobody would miss these credits: none are left and none are to come.
    pub fn idle(&self) -> bool {
        self.balance == 0 && self.arriving == 0
    }

    fn check(&mut self, bytes: i64, defects: Defects) -> Option<u32> {
        let needed = bytes.max(self.window / 2);
        let covered = self.balance + self.arriving;
        // ARTEMIS-6031: a packet of exactly this size leaves a balance of zero with nothing arriving.
        let short = if defects.exact_size_not_requested { covered < needed } else { covered <= needed };
        (short && needed > self.arriving).then(|| self.request(needed - self.arriving))
    }

    fn request(&mut self, credits: i64) -> u32 {
        self.pending += credits;
        self.arriving += credits;
        u32::try_from(credits).expect("a request is positive and a few windows at most")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Defects = Defects::NONE;

    #[test]
    fn a_blocking_producer_asks_for_half_a_window_and_waits() {
        let mut credits = ProducerCredits::new(Flavour::Blocking, 1000);
        assert_eq!(credits.acquire(100, NONE), (false, Some(500)));
        assert_eq!(credits.acquire(100, NONE), (false, None), "one request is on its way already");
        assert_eq!(credits.receive(500, NONE), None);
        assert_eq!(credits.acquire(100, NONE), (true, Some(500)));
    }

    #[test]
    fn a_message_larger_than_half_a_window_asks_for_all_of_it() {
        let mut credits = ProducerCredits::new(Flavour::Blocking, 1000);
        assert_eq!(credits.acquire(900, NONE), (false, Some(900)));
    }

    #[test]
    fn a_failover_asks_for_the_larger_of_the_window_and_what_was_pending() {
        let mut credits = ProducerCredits::new(Flavour::Blocking, 1000);
        credits.acquire(100, NONE);
        assert_eq!(credits.reset(NONE), Some(1000));
        let mut credits = ProducerCredits::new(Flavour::Blocking, 1000);
        credits.acquire(5000, NONE);
        assert_eq!(credits.reset(NONE), Some(5000));
    }

    #[test]
    fn a_balance_of_exactly_zero_is_replenished() {
        // Three packets of half a window: the credits that come after them cover exactly what was overdrawn.
        let three_packets = |defects| {
            let mut credits = ProducerCredits::new(Flavour::Asynchronous, 1000);
            let mut requested = 0;
            for _ in 0..3 {
                requested += credits.acquire(500, defects).1.unwrap_or(0);
            }
            (requested > 0).then(|| credits.receive(requested, defects));
            (credits.exhausted(), credits.arriving)
        };
        assert_eq!(three_packets(Defects { exact_size_not_requested: true, ..NONE }), (true, 1000));
        let as_was = Defects { exact_size_not_requested: true, zero_balance_not_replenished: true, ..NONE };
        assert_eq!(three_packets(as_was), (true, 0), "paused, and nothing to come");
    }

    #[test]
    fn a_message_of_exactly_the_balance_asks_for_more() {
        let exactly = |defects| ProducerCredits::new(Flavour::Asynchronous, 1000).acquire(1000, defects).1;
        assert_eq!(exactly(NONE), Some(1000));
        assert_eq!(exactly(Defects { exact_size_not_requested: true, ..NONE }), None);
    }
}
