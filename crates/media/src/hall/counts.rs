//! What has happened, in numbers.

use crate::peer::Gone;

/// Numbers since the start, and what is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions that are shown now.
    pub sessions: usize,
    /// Of these, those that are seen by a viewer.
    pub watched: usize,
    /// Viewers that are connected or on their way.
    pub viewers: usize,
    /// Addresses that viewers write from.
    pub addresses: usize,
    /// Clips that are held to be heard.
    pub clips: usize,
    /// How many ticks of sound these are.
    pub clip_ticks: u64,
    /// Viewers that were answered.
    pub viewers_opened: u64,
    /// Viewers that said goodbye.
    pub viewers_closed: u64,
    /// Viewers that were lost.
    pub viewers_lost: u64,
    /// Viewers that never came.
    pub viewers_never_came: u64,
    /// Viewers that were sent away.
    pub viewers_released: u64,
    /// Viewers whose connection broke.
    pub viewers_broken: u64,
    /// Datagrams that came in.
    pub received: u64,
    /// Of these, those that were for nobody here.
    pub received_for_nobody: u64,
    /// Pictures that were sent.
    pub pictures: u64,
    /// Frames of sound that were sent.
    pub frames: u64,
    /// Ticks that were left out because the node was late.
    pub ticks_missed: u64,
    /// Datagrams that were sent. Counted by the driver.
    pub sent: u64,
    /// Datagrams that could not be sent. Counted by the driver.
    pub not_sent: u64,
}

impl Counts {
    pub(super) fn note_gone(&mut self, why: Gone) {
        let count = match why {
            Gone::Closed => &mut self.viewers_closed,
            Gone::Lost => &mut self.viewers_lost,
            Gone::NeverCame => &mut self.viewers_never_came,
            Gone::Released => &mut self.viewers_released,
            Gone::Broken => &mut self.viewers_broken,
        };
        *count += 1;
    }
}
