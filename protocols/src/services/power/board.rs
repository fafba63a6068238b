//! The board: one relay, and whether it does and says what it should.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sim_core::{Actor, Context, Instant, NodeId};

use super::{Action, Message, Record, Refusal, Timer};

/// An actor that embeds a board.
pub trait BoardHost: Actor<Message: From<Message>, Timer: From<Timer>, Record: From<Record>> {}
impl<A: Actor<Message: From<Message>, Timer: From<Timer>, Record: From<Record>>> BoardHost for A {}

/// The settings of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BoardConfig {
    /// From power-on to the start of the machine's process.
    pub boot: Duration,
    /// How much later a slow board answers. It acts at once.
    pub slowness: Duration,
}

impl Default for BoardConfig {
    /// Ten seconds each.
    fn default() -> Self {
        BoardConfig { boot: Duration::from_secs(10), slowness: Duration::from_secs(10) }
    }
}

/// How a board behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mood {
    /// Does what it is asked, and says so.
    #[default]
    Honest,
    /// Does what it is asked, but answers late.
    Slow,
    /// Fails to switch off, and says so. It does not reset either.
    RefusesOff,
    /// Fails to switch on, and says so. A reset leaves the machine off.
    RefusesOn,
    /// Says that it has switched off and that the power is off, but has done nothing.
    ClaimsOff,
    /// Does what it is asked, but says that it has failed; tells the state as it is.
    ClaimsFailure,
}

/// A board.
#[derive(Clone, Debug, Hash)]
pub struct Board {
    machine: NodeId,
    config: BoardConfig,
    mood: Mood,
    relay: bool,
    /// What it says of the relay; differs when it lies.
    claimed: bool,
    /// The last request of each node, and what was said to it.
    latest: BTreeMap<NodeId, (u64, Result<Arc<str>, Refusal>)>,
    /// Answers that are not ready yet, in order.
    late: VecDeque<(Instant, NodeId, Message)>,
    /// How often it took the power away.
    cuts: u64,
}

impl Board {
    /// The board of `machine`, which has power.
    pub fn new(machine: NodeId, config: BoardConfig) -> Self {
        Board {
            machine,
            config,
            mood: Mood::Honest,
            relay: true,
            claimed: true,
            latest: BTreeMap::new(),
            late: VecDeque::new(),
            cuts: 0,
        }
    }

    /// Whose power it has.
    pub fn machine(&self) -> NodeId {
        self.machine
    }

    /// Whether the machine has power.
    pub fn relay(&self) -> bool {
        self.relay
    }

    /// How often this process of the board has taken the power away.
    pub fn cuts(&self) -> u64 {
        self.cuts
    }

    /// How it behaves.
    pub fn mood(&self) -> Mood {
        self.mood
    }

    /// From now on it behaves like this.
    pub fn set_mood(&mut self, mood: Mood) {
        self.mood = mood;
        self.claimed = self.relay;
    }

    /// The board has restarted; `log` is what it has written down.
    pub fn on_start<'a, A: BoardHost>(&mut self, log: impl IntoIterator<Item = &'a Record>, ctx: &mut Context<A>) {
        if let Some(&Record::Relay { on }) = log.into_iter().last() {
            (self.relay, self.claimed) = (on, on);
            match on {
                true => ctx.set_timer(Timer::Boot.into(), self.config.boot),
                false => ctx.power_off(self.machine),
            }
        }
    }

    /// A request has arrived.
    pub fn on_message<A: BoardHost>(&mut self, from: NodeId, message: Message, ctx: &mut Context<A>) {
        let Message::PowerRequest { id, action } = message else { panic!("{message:?} was sent to a board") };
        let said = match self.latest.get(&from) {
            Some((latest, _)) if *latest > id => return,
            Some((latest, said)) if *latest == id => said.clone(),
            _ => self.obey(action, ctx),
        };
        self.latest.insert(from, (id, said.clone()));
        let answer = Message::PowerAnswer { id, said };
        if self.mood == Mood::Slow {
            self.late.push_back((ctx.now() + self.config.slowness, from, answer));
            self.arm(ctx);
        } else {
            ctx.send(from, answer.into());
        }
    }

    /// A timer has fired.
    pub fn on_timer<A: BoardHost>(&mut self, timer: Timer, ctx: &mut Context<A>) {
        match timer {
            Timer::Boot => ctx.power_on(self.machine),
            Timer::Answer => {
                if let Some((_, to, answer)) = self.late.pop_front() {
                    ctx.send(to, answer.into());
                }
                self.arm(ctx);
            }
            Timer::Patience(_) => panic!("boards do not arm the remote's timer"),
        }
    }

    fn arm<A: BoardHost>(&self, ctx: &mut Context<A>) {
        if let Some(&(at, ..)) = self.late.front() {
            ctx.set_timer(Timer::Answer.into(), at.since(ctx.now()));
        }
    }

    /// Does what it is asked as far as its mood goes, and tells.
    fn obey<A: BoardHost>(&mut self, action: Action, ctx: &mut Context<A>) -> Result<Arc<str>, Refusal> {
        let failed = |what: &str| Err(Refusal::Failed(format!("{what}\n").into()));
        match (action, self.mood) {
            (Action::Status, _) => {
                let state = if self.claimed { "on" } else { "off" };
                return Ok(format!("Chassis Power is {state}\n").into());
            }
            (Action::Off | Action::Reset, Mood::RefusesOff) => return failed("Set Chassis Power Control failed"),
            (Action::On, Mood::RefusesOn) => return failed("Set Chassis Power Control to Up/On failed"),
            (Action::Reset, _) if !self.relay => return failed("Command not supported in present state"),
            (Action::Reset, Mood::RefusesOn) => {
                self.switch(false, ctx);
                return failed("Set Chassis Power Control to Reset failed");
            }
            (Action::Off | Action::On, Mood::ClaimsOff) => self.claimed = action == Action::On,
            (Action::Reset, Mood::ClaimsOff) => {}
            (Action::Off, _) => self.switch(false, ctx),
            (Action::On, _) => self.switch(true, ctx),
            (Action::Reset, _) => {
                self.switch(false, ctx);
                self.switch(true, ctx);
            }
        }
        if self.mood == Mood::ClaimsFailure {
            return failed("Unable to establish IPMI v2 / RMCP+ session");
        }
        let word = match action {
            Action::Off => "Down/Off",
            Action::On => "Up/On",
            _ => "Reset",
        };
        Ok(format!("Chassis Power Control: {word}\n").into())
    }

    fn switch<A: BoardHost>(&mut self, on: bool, ctx: &mut Context<A>) {
        if self.relay == on {
            return;
        }
        (self.relay, self.claimed) = (on, on);
        ctx.write(Record::Relay { on }.into());
        ctx.sync();
        if on {
            ctx.set_timer(Timer::Boot.into(), self.config.boot);
        } else {
            self.cuts += 1;
            ctx.cancel_timer(Timer::Boot.into());
            ctx.power_off(self.machine);
        }
    }
}
