//! The use cases of a session's life, one per file.

pub mod attach;
pub mod end;
pub mod open;
mod prompt;
pub mod stage;
pub mod sweep;
pub mod turn;
mod turn_record;
mod turn_run;
mod turn_tools;
pub(crate) mod turns;
mod variables;
pub mod watch;
pub mod whole_turn;

pub use self::{
    attach::{Attached, Attachment},
    open::{OpenError, OpenSession, Opened, Origin},
    stage::{OnStage, Say, Shown, Spoken, StageError},
    turn::{
        TurnError, TurnEvent, TurnExtras, TurnFailure, TurnInput, TurnRecord, TurnRequest,
        TurnStream, TurnUsage, WhenBusy,
    },
    watch::Watch,
    whole_turn::{TurnNews, WholeTurnError},
};
