//! The states of servers and clients as checked tables. Every change of them, in whatever file, is a line here.

use crate::transitions;

/// What a server is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServerPhase {
    /// Looks for the group.
    #[default]
    Joining,
    /// In the group; loads its queues.
    Loading,
    /// Serves.
    Serving,
    /// Moves its sessions elsewhere, to be taken down.
    Draining,
    /// Taken down.
    Stopped,
}

/// What can happen to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerEvent {
    /// It is in a view.
    LetIn,
    /// Its queues are active.
    Activated,
    /// The others have gone on without it.
    Excluded,
    /// An operator takes it down.
    TakenDown,
    /// It is out of the group.
    Left,
}

transitions! { ServerPhase on ServerEvent {
    LetIn(Joining => Loading);
    Activated(Loading => Serving);
    Excluded(Joining | Loading | Serving | Draining => Joining);
    TakenDown(Serving => Draining);
    Left(Draining => Stopped);
} }

impl ServerPhase {
    /// The state in words.
    pub fn role(self) -> &'static str {
        match self {
            ServerPhase::Joining => "JOINING",
            ServerPhase::Loading => "LOADING",
            ServerPhase::Serving => "SERVING",
            ServerPhase::Draining => "DRAINING",
            ServerPhase::Stopped => "STOPPED",
        }
    }
}

/// Where a client's connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientPhase {
    /// In use.
    Connected,
    /// A failure of the connection has been noticed.
    Detected,
    /// Every invocation waits.
    #[default]
    ValveClosed,
    /// Looks for the server to go to.
    Hopping,
    /// Makes its objects again.
    Restoring,
    /// Given up, for good.
    Failed,
}

/// What can happen to a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientEvent {
    /// A thread has noticed a failure, or the server has told the client to move.
    Detects,
    /// No invocation passes any more.
    Closes,
    /// It turns to a server.
    Hops,
    /// The server has taken it.
    Taken,
    /// The server that took it is gone.
    Lost,
    /// All is as it was; the valve opens.
    Restored,
    /// It has tried often enough.
    GivesUp,
}

transitions! { ClientPhase on ClientEvent {
    Detects(Connected => Detected);
    Closes(Detected => ValveClosed);
    Hops(ValveClosed | Hopping => Hopping);
    Taken(Hopping => Restoring);
    Lost(Restoring => Hopping);
    Restored(Restoring => Connected);
    GivesUp(ValveClosed | Hopping | Restoring => Failed);
} }

impl ClientPhase {
    /// The state in the protocol's own words.
    pub fn role(self) -> &'static str {
        match self {
            ClientPhase::Connected => "CONNECTED",
            ClientPhase::Detected => "DETECTED",
            ClientPhase::ValveClosed => "VALVE_CLOSED",
            ClientPhase::Hopping => "HOPPING",
            ClientPhase::Restoring => "RESTORING",
            ClientPhase::Failed => "FAILED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transitions::{check, render};

    #[test]
    fn the_tables_are_sound_and_as_reviewed() {
        assert_eq!(check(ServerPhase::Joining), Ok(()));
        assert_eq!(check(ClientPhase::ValveClosed), Ok(()));
        insta::assert_snapshot!(render::<ServerPhase>() + "\n" + &render::<ClientPhase>(), @"
        LetIn: Joining => Loading
        Activated: Loading => Serving
        Excluded: Joining | Loading | Serving | Draining => Joining
        TakenDown: Serving => Draining
        Left: Draining => Stopped

        Detects: Connected => Detected
        Closes: Detected => ValveClosed
        Hops: ValveClosed | Hopping => Hopping
        Taken: Hopping => Restoring
        Lost: Restoring => Hopping
        Restored: Restoring => Connected
        GivesUp: ValveClosed | Hopping | Restoring => Failed
        ");
    }
}
