//! The real binary, from outside: it is started, loaded over HTTP, hurt, killed and looked into.

mod avatar;
mod crash;
mod faults;
mod gone;
mod openai;
mod remembered;
mod socket;
mod support;
