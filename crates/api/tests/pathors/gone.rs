//! 2.4 and 7.6: what an end leaves of a session, wherever one looks.
