//! Money: integer micro-credits in the ledger, decimals in prices, floats nowhere.

use std::{
    fmt,
    ops::{Add, Neg, Sub},
};

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

use crate::{time::Span, usage::Usage};

/// Amounts are charged to four decimals, as the price lists print them.
const CHARGED_DECIMALS: u32 = 4;

/// An amount in millionths of a credit. One credit is one US dollar.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MicroCredits(pub i64);

impl MicroCredits {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From a decimal number of credits, rounded half up to the millionth. `None`: it does not fit.
    pub fn from_credits(credits: Decimal) -> Option<Self> {
        let micro = credits
            .checked_mul(Decimal::from(1_000_000))?
            .round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
        micro.to_i64().map(Self)
    }

    /// As a decimal number of credits.
    pub fn to_credits(self) -> Decimal {
        Decimal::new(self.0, 6)
    }
}

/// In credits, with four decimals or more when there are more.
impl fmt::Display for MicroCredits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut credits = self.to_credits().normalize();
        if credits.scale() < CHARGED_DECIMALS {
            credits.rescale(CHARGED_DECIMALS);
        }
        credits.fmt(f)
    }
}

impl Add for MicroCredits {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for MicroCredits {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for MicroCredits {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl std::iter::Sum for MicroCredits {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// What an agent costs, in credits. All parts add up; absent parts are free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Per 1,000 tokens, the person's and the model's together.
    pub per_1k_tokens: Decimal,
    /// Per 1,000 tokens in the person's messages.
    pub per_1k_input_tokens: Decimal,
    /// Per 1,000 tokens the model wrote.
    pub per_1k_output_tokens: Decimal,
    /// Per 1,000 tokens of whole prompts, as the model's endpoint counts them.
    pub per_1k_prompt_tokens: Decimal,
    /// Per message, of either side.
    pub per_message: Decimal,
    /// Per minute between open and end, to the second.
    pub per_minute: Decimal,
    /// Per session.
    pub per_session: Decimal,
}

impl Price {
    /// Whether a session at this price can cost anything.
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }

    /// What this usage costs, rounded half up to four decimals. Never negative.
    pub fn cost(&self, usage: &Usage, lasted: Span) -> MicroCredits {
        let per_1k = |tokens: u64, price: Decimal| {
            Decimal::from(tokens).saturating_mul(price) / Decimal::from(1000)
        };
        let minutes = Decimal::from(lasted.as_millis() / 1000) / Decimal::from(60);
        let parts = [
            per_1k(usage.input_tokens.saturating_add(usage.output_tokens), self.per_1k_tokens),
            per_1k(usage.input_tokens, self.per_1k_input_tokens),
            per_1k(usage.output_tokens, self.per_1k_output_tokens),
            per_1k(usage.prompt_tokens, self.per_1k_prompt_tokens),
            Decimal::from(usage.total_messages).saturating_mul(self.per_message),
            minutes.saturating_mul(self.per_minute),
            self.per_session,
        ];
        let total = parts
            .into_iter()
            .fold(Decimal::ZERO, Decimal::saturating_add)
            .max(Decimal::ZERO)
            .round_dp_with_strategy(CHARGED_DECIMALS, RoundingStrategy::MidpointAwayFromZero);
        MicroCredits::from_credits(total).unwrap_or(MicroCredits(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(per_1k_tokens: &str) -> Price {
        Price { per_1k_tokens: per_1k_tokens.parse().expect("a decimal"), ..Price::default() }
    }

    fn tokens(input: u64, output: u64) -> Usage {
        Usage { input_tokens: input, output_tokens: output, ..Usage::default() }
    }

    #[test]
    fn the_published_example_costs_what_it_says() {
        let cost = price("0.01").cost(&tokens(150, 300), Span::ZERO);
        assert_eq!(cost, MicroCredits(4_500));
        assert_eq!(cost.to_string(), "0.0045");
    }

    #[test]
    fn half_a_ten_thousandth_rounds_up() {
        assert_eq!(price("0.01").cost(&tokens(5, 0), Span::ZERO), MicroCredits(100));
        assert_eq!(price("0.01").cost(&tokens(4, 0), Span::ZERO), MicroCredits::ZERO);
    }

    #[test]
    fn every_part_counts_once() {
        let one = Decimal::ONE;
        let all = Price {
            per_1k_tokens: one,
            per_1k_input_tokens: one,
            per_1k_output_tokens: one,
            per_1k_prompt_tokens: one,
            per_message: one,
            per_minute: one,
            per_session: one,
        };
        let usage = Usage {
            user_messages: 1,
            total_messages: 2,
            input_tokens: 1000,
            output_tokens: 1000,
            prompt_tokens: 1000,
            model_calls: 1,
            estimated: false,
        };
        // 2 (tokens) + 1 + 1 + 1 + 2 (messages) + 1 (minute) + 1 (session)
        assert_eq!(all.cost(&usage, Span::from_secs(60)), MicroCredits(9_000_000));
    }

    #[test]
    fn absurd_usage_saturates_instead_of_wrapping() {
        let usage = tokens(u64::MAX, u64::MAX);
        assert_eq!(price("1000000").cost(&usage, Span::ZERO), MicroCredits(i64::MAX));
    }

    #[test]
    fn credits_print_with_at_least_four_decimals() {
        assert_eq!(MicroCredits(100_000_000).to_string(), "100.0000");
        assert_eq!(MicroCredits(-1_234_567).to_string(), "-1.234567");
    }
}
