//! The use cases of a session's life, one per file.

pub mod end;
pub mod open;
mod prompt;
pub mod sweep;
pub mod turn;
mod turn_run;
pub(crate) mod turns;

pub use self::{
    open::{OpenError, OpenSession, Opened},
    turn::{TurnError, TurnEvent, TurnFailure, TurnRequest, TurnStream, TurnUsage, WhenBusy},
};
