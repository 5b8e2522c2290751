//! Where the server is at the moment: what a load balancer would know.

use tokio::sync::watch;

/// What clients can know of the server.
#[derive(Clone, Debug, Default)]
enum Sign {
    /// There is none.
    #[default]
    Shut,
    /// There is one here.
    Open(String),
    /// There is one here, and no new conversations are wanted.
    Closing(String),
}

/// The way to whichever server lives.
#[derive(Default)]
pub struct Front(watch::Sender<Sign>);

impl Front {
    /// A server listens here.
    pub fn open_at(&self, url: String) {
        self.0.send_replace(Sign::Open(url));
    }

    /// It is dead.
    pub fn shut(&self) {
        self.0.send_replace(Sign::Shut);
    }

    /// The server stays; clients finish what they are at and go.
    pub fn close(&self) {
        self.0.send_modify(|sign| {
            let Sign::Open(url) = sign else { panic!("there is no server") };
            *sign = Sign::Closing(std::mem::take(url));
        });
    }

    /// Whether clients are to go.
    pub fn is_closing(&self) -> bool {
        matches!(*self.0.borrow(), Sign::Closing(_))
    }

    /// Where the server is, as soon as there is one.
    pub async fn url(&self) -> String {
        let mut sign = self.0.subscribe();
        let there = sign.wait_for(|sign| !matches!(sign, Sign::Shut)).await.expect("the front");
        match &*there {
            Sign::Open(url) | Sign::Closing(url) => url.clone(),
            Sign::Shut => unreachable!("waited for one"),
        }
    }
}
